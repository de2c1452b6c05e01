# SPDX-License-Identifier: Apache-2.0
"""The two images that come with the extension: files on this disk with their checksums, no download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from UniBiomedSlicerLib.EngineSource import EngineSource

CATEGORY = "UniBiomed"
HEAD = "UniBiomedHeadMRI"
PHANTOM = "UniBiomedCTPhantom"


@dataclass(frozen=True)
class SampleImage:
    """One image; ``name`` is the node's name, ``modality`` as the engine calls it, ``targets`` what to ask for."""

    name: str
    path: Path
    sha256: str
    modality: str
    targets: tuple[str, ...]
    # Lower and upper grey value to show it with; None: Slicer's own choice.
    display: tuple[float, float] | None = None


def sampleImages() -> dict[str, SampleImage]:
    """Both by name."""
    resources = Path(__file__).resolve().parents[1] / "Resources" / "SampleData"
    head = SampleImage(
        HEAD,
        EngineSource().folder / "src" / "unibiomed" / "samples" / "mr_brain_tumour" / "brain1_image.nrrd",
        "fffdb111ee8b428ede7256707393c927a7d5be912f0604cf3c6f1bd5fc9644cf",
        "MRI-T1",
        ("brain", "tumor"),
    )
    phantom = SampleImage(
        PHANTOM,
        resources / "UniBiomedCTPhantom.nrrd",
        "7b5bae78e3de02f1c5509fb8e841b58f332e20eabab38017c104920abfbed2d3",
        "CT",
        ("liver", "spleen", "left kidney", "right kidney"),
        (-160.0, 240.0),
    )
    return {head.name: head, phantom.name: phantom}


def registerSampleImages(iconsFolder: Path) -> None:
    """List them in module Sample Data, under the category UniBiomed."""
    import SampleData

    for sample in sampleImages().values():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.name,
            thumbnailFileName=str(iconsFolder / f"{sample.name}.png"),
            uris=sample.path.as_uri(),
            fileNames=f"{sample.name}.nrrd",
            nodeNames=sample.name,
            checksums=f"SHA256:{sample.sha256}",
        )


def loadSampleImage(name: str) -> Any:
    """Load one into the scene and show it in the slice views; returns its volume node.

    One that is there already is shown again instead. Raises ``RuntimeError`` when the file cannot be read.
    """
    sample = sampleImages()[name]
    node = slicer.mrmlScene.GetFirstNodeByName(sample.name)
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        node = slicer.util.loadVolume(str(sample.path), {"name": sample.name})
    if sample.display is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(*sample.display)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node
