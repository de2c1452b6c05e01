# SPDX-License-Identifier: Apache-2.0
"""What the effect says of a result and of what applying it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _
from UniBiomedSegmentLib.Wording import millilitres, percent, slicesInWords, timeLeft

from .EffectWriting import Outcome


def found(result: Mapping[str, Any]) -> str:
    """What was found, with its figures, and what was not."""
    parts = []
    for segment in result["segments"]:
        figures = [_("slices {slices}").format(slices=slicesInWords(segment.get("slices") or ()))]
        if volume := millilitres(segment.get("volume_ml")):
            figures.insert(0, _("{volume} ml").format(volume=volume))
        if confidence := percent(segment.get("confidence")):
            figures.append(_("confidence {percent}").format(percent=confidence))
        parts.append(_("Found {target}: {figures}.").format(target=segment["target"], figures=", ".join(figures)))
    for entry in result.get("not_found") or ():
        parts.append(_("Found nothing for {target}.").format(target=entry["target"]))
    return " ".join(parts) or _("Found nothing.")


def overlapping(overlaps: Mapping[str, int]) -> str:
    """What applying would take from other segments; "" if nothing."""
    if not overlaps:
        return ""
    names = ", ".join(_("{count} voxels of {name}").format(count=count, name=name) for name, count in overlaps.items())
    return _(
        "It overlaps {names}, which the setting of Modify other segments will take from there; choose Allow overlap "
        "to keep them."
    ).format(names=names)


def applied(outcome: Outcome) -> str:
    """What applying did, and what the masking settings kept it from doing."""
    parts = []
    if outcome.added:
        parts.append(_("{count} voxels were added.").format(count=outcome.added))
    if outcome.removed:
        parts.append(_("{count} voxels were removed.").format(count=outcome.removed))
    if outcome.heldBack:
        parts.append(
            _("{count} voxels lie outside the editable area or intensity range and were left as they were.").format(
                count=outcome.heldBack
            )
        )
    for name, count in outcome.taken.items():
        parts.append(_("{count} voxels were taken from {name}.").format(count=count, name=name))
    if outcome.beyond:
        parts.append(
            _("{count} voxels lie outside the geometry of the segmentation and cannot be kept.").format(
                count=outcome.beyond
            )
        )
    return " ".join(parts) or _("Nothing was changed: the segment is that way already.")


def progress(stage: str, fraction: float | None, secondsLeft: float | None) -> str:
    """The text in the progress bar."""
    known = {
        "preparing": _("Preparing"),
        "starting": _("Starting the engine"),
        "loading": _("Loading the model"),
        "uploading": _("Handing the volume over"),
        "queued": _("Waiting for the engine"),
    }
    words = [known.get(stage, _("Looking"))]
    if fraction is not None:
        words.append(f"{round(100 * fraction)} %")
    if left := timeLeft(secondsLeft):
        words.append(left)
    return ", ".join(words)
