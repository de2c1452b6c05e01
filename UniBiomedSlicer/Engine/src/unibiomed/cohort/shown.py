# SPDX-License-Identifier: Apache-2.0
"""The image of a case as a viewer loads it: its own file, or of a 4-D one the frame that was annotated.

Viewers load a 4-D file as a series over time, or not at all; the segments belong to one frame of it.
"""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import AUTOMATIC, Catalogue
from unibiomed.volumes import read_volume
from unibiomed.volumes.atomic import atomic_path


def shown_image(catalogue: Catalogue, case: Case) -> Path:
    """The file or folder to load for ``case``.

    Where the plan picks a frame, that is a NIfTI file beside the results (float32, on the grid of the segments). It is
    written when it is first asked for. InputError where the image cannot be read, OutputError where the file cannot be
    written.
    """
    plan = catalogue.plan.of(case)
    image = catalogue.cohort / case.path
    if plan.frame is None:
        return image
    shown = catalogue.folder / AUTOMATIC / case.id / f"frame-{plan.frame}.nii.gz"
    if not shown.is_file():
        volume = read_volume(image, modality=plan.modality, series_uid=case.series_uid, frame=plan.frame)
        if volume.is_color:
            return image  # a picture, which has one frame
        # NIfTI counts i first.
        stored = nibabel.Nifti1Image(np.asarray(volume.array, dtype=np.float32).transpose(2, 1, 0), volume.ijk_to_ras)
        with atomic_path(shown) as scratch:
            nibabel.save(stored, scratch)
    return shown
