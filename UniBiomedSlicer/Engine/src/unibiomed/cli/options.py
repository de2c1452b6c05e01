# SPDX-License-Identifier: Apache-2.0
"""The options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_INPUT = "An image file (NIfTI, NRRD, MHA, DICOM, PNG, JPEG, TIFF) or a folder with one DICOM series."
_WINDOW = (
    "Intensity window: a name (ct-abdomen, ct-lung, ct-bone, ct-brain, percentile, full) or WIDTH/LEVEL, as 400/40."
)

Input = Annotated[Path, typer.Argument(help=_INPUT, show_default=False)]
Model = Annotated[str, typer.Option("--model", "-m", help="mini, a stored model's name, or a model folder.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
DType = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
Modality = Annotated[
    str | None,
    typer.Option(
        "--modality", help="CT, MRI, X-Ray, ultrasound, pathology, ... (else from the file).", show_default=False
    ),
]
Site = Annotated[str | None, typer.Option("--site", help="abdomen, brain, chest, ...", show_default=False)]
Series = Annotated[
    str | None, typer.Option("--series", help="DICOM SeriesInstanceUID, if the folder has several.", show_default=False)
]
Frame = Annotated[
    int | None, typer.Option("--frame", help="Which time point of a 4-D image (0 is the first).", show_default=False)
]
Axis = Annotated[
    str | None,
    typer.Option("--axis", help="axial, coronal or sagittal slices (else as acquired).", show_default=False),
]
Slices = Annotated[
    str | None, typer.Option("--slices", help="Which slices, as 10-40 or 3,5,8 or 0-99:3.", show_default=False)
]
WindowName = Annotated[str | None, typer.Option("--window", help=_WINDOW, show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no table.")]
