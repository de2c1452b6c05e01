# SPDX-License-Identifier: Apache-2.0
"""Which frame of a 4-D image to read."""

from __future__ import annotations

from unibiomed.errors import InputError


class FrameMissing(InputError):
    """A 4-D image was given without saying which of its frames is meant."""


def choose_frame(n_frames: int, frame: int | None, name: str) -> int:
    """Return the frame to read; FrameMissing, with their count, where it must be chosen, InputError for a wrong one."""
    if frame is None:
        if n_frames == 1:
            return 0
        raise FrameMissing(
            f"{name} is 4-D and holds {n_frames} frames (time points or channels); which one is meant? "
            f"Choose frame 0 to {n_frames - 1}."
        )
    if not 0 <= frame < n_frames:
        raise InputError(f"{name} has no frame {frame}: it holds {n_frames}, counted from 0.")
    return frame
