# SPDX-License-Identifier: Apache-2.0
"""`slicer.app.coreIOManager()`: scenes, volumes, segmentations and texts, by MRML's own storage nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

TYPES = {".mrml": "SceneFile", ".mrb": "SceneFile", ".txt": "TextFile", ".json": "TextFile"}


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
