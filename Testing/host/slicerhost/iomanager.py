# SPDX-License-Identifier: Apache-2.0
"""`slicer.app.coreIOManager()`: scenes, volumes, segmentations and texts, by MRML's own storage nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

TYPES = {".mrml": "SceneFile", ".mrb": "SceneFile", ".txt": "TextFile", ".json": "TextFile"}
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


def _picture(path: str, name: str) -> Any:
    """slicer-core has no reader for pictures; desktop Slicer gives pixels of 1 mm, the first row in front."""
    reader = vtk.vtkImageReader2Factory.CreateImageReader2(path)
    if reader is None:
        return None
    reader.SetFileName(path)
    reader.Update()
    pixels = reader.GetOutput()
    width, height, _ = pixels.GetDimensions()
    # VTK counts rows from below.
    array = vtk_to_numpy(pixels.GetPointData().GetScalars()).reshape(1, height, width, -1)[:, ::-1]
    isGrey = array.shape[-1] == 1
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode" if isGrey else "vtkMRMLVectorVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array[..., 0] if isGrey else array))
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.CreateDefaultDisplayNodes()
    return node


class IOManager:
    def fileType(self, name: str) -> str:
        if name.endswith((".seg.nrrd", ".seg.nii.gz", ".seg.nhdr")):
            return "SegmentationFile"
        return TYPES.get(Path(name).suffix, "VolumeFile")

    def fileWriterFileType(self, node: Any) -> str:
        return node.GetClassName()

    def loadNodes(self, fileType: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        path = str(properties["fileName"])
        if not Path(path).exists():
            return False
        if fileType == "SceneFile":
            if properties.get("clear"):
                slicer.mrmlScene.Clear(0)
            return self._loadScene(path)
        node = self._read(fileType, path, properties)
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def _loadScene(self, path: str) -> bool:
        if path.endswith(".mrb"):
            return bool(slicer.mrmlScene.ReadFromMRB(path, False))
        slicer.mrmlScene.SetURL(path)
        return bool(slicer.mrmlScene.Import())

    def _read(self, fileType: str, path: str, properties: dict[str, Any]) -> Any:
        name = properties.get("name") or Path(path).name.split(".")[0]
        if fileType == "VolumeFile" and Path(path).suffix.lower() in PICTURES:
            return _picture(path, name)
        if fileType == "VolumeFile":
            logic = slicer.modules.volumes.logic()
            return logic.AddArchetypeVolume(path, name, 1 if properties.get("labelmap") else 0)
        if fileType == "SegmentationFile":
            return slicer.modules.segmentations.logic().LoadSegmentationFromFile(path, True, name)
        if fileType == "TextFile":
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
            node.SetText(Path(path).read_text(encoding="utf-8"))
            return node
        return None

    def saveNodes(self, fileType: str, properties: dict[str, Any], messages: Any = None) -> bool:
        path = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._saveScene(path)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None and not node.AddDefaultStorageNode(path):
            return False
        node.GetStorageNode().SetFileName(path)
        return bool(node.GetStorageNode().WriteData(node))

    def _saveScene(self, path: str) -> bool:
        if path.endswith(".mrb"):
            return bool(slicer.mrmlScene.WriteToMRB(path, None))
        if path.endswith(".mrml"):
            slicer.mrmlScene.SetURL(path)
            slicer.mrmlScene.SetRootDirectory(str(Path(path).parent))
            return bool(slicer.mrmlScene.Commit(path))
        Path(path).mkdir(parents=True, exist_ok=True)
        return bool(slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(path, None))
