# SPDX-License-Identifier: Apache-2.0
"""Make the CT phantom and both thumbnails of module Sample Data: ``python Testing/slicer/setup/make_samples.py``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3] / "UniBiomedSlicer"
PHANTOM = ROOT / "Resources" / "SampleData" / "UniBiomedCTPhantom.nrrd"
HEAD = ROOT / "Engine" / "src" / "unibiomed" / "samples" / "mr_brain_tumour" / "brain1_image.nrrd"
# The phantom of `unibiomed demo`; training uses seeds below ten million.
SEED = 1_000_000_003


def write_phantom() -> None:
    """The phantom as Slicer reads volumes: NRRD in LPS, compressed."""
    import SimpleITK as sitk
    from unibiomed.phantoms import generate_volume

    volume = generate_volume("CT", SEED, abnormal=True).volume
    image = sitk.GetImageFromArray(np.asarray(volume.array))
    toLps = np.diag([-1.0, -1.0, 1.0]) @ volume.ijk_to_ras[:3, :3]
    image.SetSpacing([float(np.linalg.norm(column)) for column in toLps.T])
    image.SetDirection((toLps / np.linalg.norm(toLps, axis=0)).ravel().tolist())
    image.SetOrigin((np.diag([-1.0, -1.0, 1.0]) @ volume.ijk_to_ras[:3, 3]).tolist())
    PHANTOM.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(PHANTOM), useCompression=True, compressionLevel=9)


def write_thumbnail(path: Path, name: str, low: float, high: float, fraction: float) -> None:
    """One slice of the image at ``path``, 256 pixels wide, as it lies in an axial view."""
    import SimpleITK as sitk
    from PIL import Image

    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    array = sitk.GetArrayFromImage(image)
    plane = array[round(fraction * (len(array) - 1))].astype(float)
    grey = np.clip((plane - low) / (high - low), 0, 1) * 255
    spacing = image.GetSpacing()
    size = (256, round(256 * plane.shape[0] * spacing[1] / (plane.shape[1] * spacing[0])))
    Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.LANCZOS).save(
        ROOT / "Resources" / "Icons" / f"{name}.png", optimize=True
    )


def main() -> int:
    """Make them all."""
    write_phantom()
    write_thumbnail(HEAD, "UniBiomedHeadMRI", 0, 900, 0.55)
    write_thumbnail(PHANTOM, "UniBiomedCTPhantom", -160, 240, 0.62)
    return 0


if __name__ == "__main__":
    sys.exit(main())
