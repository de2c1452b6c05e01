# SPDX-License-Identifier: Apache-2.0
"""How a stack of DICOM slices lies in the patient: order, gaps, affine (DICOM PS3.3 C.7.6.2.1.1).

Slices are sorted along their common normal. Even gaps give an affine; uneven ones a plan to interpolate linearly onto
the median gap. A stack whose slices are shifted sideways (gantry tilt) is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unibiomed.errors import InputError
from unibiomed.volumes.geometry import LPS_TO_RAS

SAME_POSITION_MM = 0.01
GAP_TOLERANCE = 0.05
"""Part of the median gap by which a gap may differ and still count as even (headers are rounded)."""
SIDEWAYS_TOLERANCE = 0.2
"""Part of a pixel by which a slice may lie off the line through the first one, along the normal."""
_MAX_GROWTH = 4


@dataclass(frozen=True, eq=False)
class Stack:
    """``lower[k]`` and ``fraction[k]`` say how slice k is made: ``(1 - f) * source[lower] + f * source[lower + 1]``."""

    ijk_to_ras: np.ndarray
    lower: np.ndarray
    fraction: np.ndarray
    resampled: bool
    notes: tuple[str, ...]


def sort_positions(positions: np.ndarray, normal: np.ndarray, name: str) -> list[list[int]]:
    """Return the slices' indices, sorted along the normal, as groups that share one position (4-D: several).

    ``positions`` is (n, 3) in mm. Raises InputError where positions repeat unevenly.
    """
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    groups: list[list[int]] = []
    for index in order:
        if groups and along[index] - along[groups[-1][0]] <= SAME_POSITION_MM:
            groups[-1].append(int(index))
        else:
            groups.append([int(index)])
    counts = {len(group) for group in groups}
    if len(counts) > 1:
        raise InputError(
            f"{name} holds between {min(counts)} and {max(counts)} slices at the same position: it mixes acquisitions; "
            "put the files of one acquisition in a folder of their own."
        )
    return groups


def slice_normal(orientation: Sequence[float], name: str) -> np.ndarray:
    """Return the unit normal i x j of an ImageOrientationPatient (six numbers); raises InputError for a zero one."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    if not length > 0.5:
        raise InputError(f"{name} has an impossible image orientation ({', '.join(f'{x:g}' for x in orientation)}).")
    return normal / length


def stack_geometry(
    positions: np.ndarray,
    orientation: Sequence[float],
    spacing: tuple[float, float],
    thickness: float,
    name: str,
) -> Stack:
    """Return how sorted slices become a volume.

    ``positions`` (n, 3) LPS mm, sorted along the normal; ``spacing`` (between rows, between columns) in mm;
    ``thickness`` stands for the gap of a single slice. Raises InputError for a tilted stack and for gaps so uneven that
    interpolating would invent most of the volume.
    """
    normal = slice_normal(orientation, name)
    along = (positions - positions[0]) @ normal
    sideways = positions - positions[0] - np.outer(along, normal)
    shift = float(np.linalg.norm(sideways, axis=1).max())
    if shift > SIDEWAYS_TOLERANCE * max(spacing):
        angle = float(np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), max(along[-1], 1e-9))))
        raise InputError(
            f"The slices of {name} are sheared: they lie up to {shift:.1f} mm beside the line along their normal "
            f"(a gantry tilt of about {angle:.1f} degrees), so they make no rectangular grid; "
            "undo the tilt first, for example in 3D Slicer's DICOM import."
        )
    count = len(positions)
    if count == 1:
        gap, plan, notes = thickness, (np.zeros(1, int), np.zeros(1)), ()
        resampled = False
    else:
        gaps = np.diff(along)
        gap = float(np.median(gaps))
        resampled = bool(np.abs(gaps - gap).max() > max(GAP_TOLERANCE * gap, SAME_POSITION_MM))
        if resampled:
            plan = _interpolation(along, gap, name)
            notes = (_gap_note(along, gaps, gap, name),)
        else:
            gap = float(along[-1] / (count - 1))
            plan, notes = (np.arange(count), np.zeros(count)), ()
    lps = np.eye(4)
    lps[:3, 0] = np.array(orientation[:3]) * spacing[1]
    lps[:3, 1] = np.array(orientation[3:]) * spacing[0]
    lps[:3, 2] = normal * gap
    lps[:3, 3] = positions[0]
    return Stack(LPS_TO_RAS @ lps, *plan, resampled, notes)


def _interpolation(along: np.ndarray, gap: float, name: str) -> tuple[np.ndarray, np.ndarray]:
    count = round(float(along[-1]) / gap) + 1
    if count > _MAX_GROWTH * len(along) + 8:
        raise InputError(
            f"The gaps between the slices of {name} are too uneven ({np.diff(along).min():g} to "
            f"{np.diff(along).max():g} mm): filling them would invent most of the volume; remove the stray slices."
        )
    wanted = np.minimum(gap * np.arange(count), along[-1])
    lower = np.clip(np.searchsorted(along, wanted, side="right") - 1, 0, len(along) - 2)
    fraction = (wanted - along[lower]) / (along[lower + 1] - along[lower])
    # A slice that is there is used as it is.
    near = GAP_TOLERANCE * gap / (along[lower + 1] - along[lower])
    fraction = np.where(fraction < near, 0.0, np.where(fraction > 1 - near, 1.0, fraction))
    lower, fraction = np.where(fraction == 1.0, lower + 1, lower), np.where(fraction == 1.0, 0.0, fraction)
    return lower, fraction


def _gap_note(along: np.ndarray, gaps: np.ndarray, gap: float, name: str) -> str:
    holes = [(along[index], round(float(gaps[index]) / gap) - 1) for index in np.flatnonzero(gaps > 1.5 * gap)]
    whole = np.abs(gaps / gap - np.round(gaps / gap)).max() < 2 * GAP_TOLERANCE
    if holes and whole:
        missing = sum(count for _, count in holes)
        where = ", ".join(f"{start:.1f}" for start, _ in holes[:5]) + (" ..." if len(holes) > 5 else "")
        return (
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing in {name} (after {where} mm from the first "
            f"slice) and filled in by linear interpolation; slice gap {gap:g} mm."
        )
    return (
        f"The slice gaps of {name} vary from {gaps.min():g} to {gaps.max():g} mm; "
        f"its slices are interpolated linearly onto the median gap of {gap:g} mm."
    )
