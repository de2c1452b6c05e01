# SPDX-License-Identifier: Apache-2.0
"""Results as files: a segmentation for Slicer, a page and a picture for people, JSON for programs."""

from __future__ import annotations

from unibiomed.tasks.outputs.segmentation import to_segmentation
from unibiomed.tasks.outputs.writing import write_outputs

__all__ = ["to_segmentation", "write_outputs"]
