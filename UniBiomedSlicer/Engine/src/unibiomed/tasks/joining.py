# SPDX-License-Identifier: Apache-2.0
"""From masks on slices to objects in 3-D: parts of one target that overlap from slice to slice are one finding."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from scipy.ndimage import find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unibiomed.tasks.stack import Box, PlaneStack

MAX_GAP = 1
"""Slices without the target that one object may have inside it: the gate may miss a slice."""
FRAGMENT = 0.15
"""Parts smaller than this share of the target's largest object are no finding of their own."""
MOST_OBJECTS = 5
"""More objects than this are one scattered finding (an opacity, the cells of a section): the model named it once."""
_EIGHT = np.ones((3, 3), dtype=bool)


def join(stack: PlaneStack, *, max_gap: int = MAX_GAP, fragment: float = FRAGMENT) -> tuple[PlaneStack, ...]:
    """Split one target's slices into its objects, largest first.

    Pieces (8-connected on their slice) belong together when they overlap on slices at most ``max_gap`` + 1 apart. A
    fragment stays with the object nearest to it, so that the objects together hold every pixel of ``stack``. More than
    five objects stay one.
    """
    pieces = [(index, piece) for index in stack.indices for piece in _pieces(stack.box(index))]
    if not pieces:
        return ()
    groups = _absorb(pieces, _groups(pieces, max_gap), fragment)
    if np.unique(groups).size > MOST_OBJECTS:
        return (stack,)
    by_slice: dict[tuple[int, int], list[Box]] = defaultdict(list)
    for (index, piece), group in zip(pieces, groups, strict=True):
        by_slice[int(group), index].append(piece)
    joined: dict[int, PlaneStack] = {}
    for (group, index), own in by_slice.items():
        joined.setdefault(group, PlaneStack(stack.array_axis)).add(index, draw(own))
    return tuple(sorted(joined.values(), key=lambda part: -_pixels(part)))


def overlap(one: Box, other: Box) -> int:
    """Pixels that two cropped planes share."""
    top, left = max(one[0], other[0]), max(one[1], other[1])
    bottom = min(one[0] + one[2].shape[0], other[0] + other[2].shape[0])
    right = min(one[1] + one[2].shape[1], other[1] + other[2].shape[1])
    if bottom <= top or right <= left:
        return 0
    first, second = (
        crop[top - row : bottom - row, left - column : right - column] for row, column, crop in (one, other)
    )
    return int(np.count_nonzero(first & second))


def _pieces(box: Box) -> list[Box]:
    top, left, crop = box
    numbered, _ = label(crop, structure=_EIGHT)
    return [
        (top + where[0].start, left + where[1].start, numbered[where] == number)
        for number, where in enumerate(find_objects(numbered), start=1)
    ]


def _groups(pieces: list[tuple[int, Box]], max_gap: int) -> np.ndarray:
    """A group number for each piece; only the nearest slice that overlaps is needed, but all within reach are tried."""
    links = []
    for number, (index, box) in enumerate(pieces):
        for earlier in range(number - 1, -1, -1):
            at, other = pieces[earlier]
            if index - at > max_gap + 1:
                break
            if at != index and overlap(box, other):
                links.append((number, earlier))
    rows, columns = zip(*links, strict=True) if links else ((), ())
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(pieces), len(pieces)))
    return connected_components(graph, directed=False)[1]


def _absorb(pieces: list[tuple[int, Box]], groups: np.ndarray, fragment: float) -> np.ndarray:
    """Give every fragment to the object whose centre is nearest."""
    sizes = np.bincount(groups, weights=[int(box[2].sum()) for _, box in pieces])
    least = fragment * sizes.max()
    centres = np.array([_centre(index, box) for index, box in pieces])
    kept = np.flatnonzero(sizes[groups] >= least)
    result = groups.copy()
    for number in np.flatnonzero(sizes[groups] < least):
        nearest = kept[np.argmin(((centres[kept] - centres[number]) ** 2).sum(axis=1))]
        result[number] = groups[nearest]
    return result


def _centre(index: int, box: Box) -> tuple[float, float, float]:
    rows, columns = np.nonzero(box[2])
    return float(index), box[0] + float(rows.mean()), box[1] + float(columns.mean())


def draw(boxes: list[Box]) -> np.ndarray:
    """The boxes' pixels on one plane just large enough."""
    bottom = max(top + crop.shape[0] for top, _, crop in boxes)
    right = max(left + crop.shape[1] for _, left, crop in boxes)
    plane = np.zeros((bottom, right), dtype=bool)
    for top, left, crop in boxes:
        plane[top : top + crop.shape[0], left : left + crop.shape[1]] |= crop
    return plane


def _pixels(part: PlaneStack) -> int:
    return sum(int(part.box(index)[2].sum()) for index in part.indices)
