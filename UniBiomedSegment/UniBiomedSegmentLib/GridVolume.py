# SPDX-License-Identifier: Apache-2.0
"""A volume without voxels, for a result whose own volume was deleted or moved: it has the grid that was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
import vtk
from UniBiomedSlicerLib.VolumeGeometry import toVtk


def addGridVolume(result: Mapping[str, Any], name: str) -> Any:
    """A hidden volume node in the scene with the shape and the world geometry of ``result``'s provenance, neither saved
    nor shown; the caller removes it when the segmentation has been filled."""
    provenance = result["provenance"]
    shape = provenance["shape"]
    imageData = vtk.vtkImageData()
    imageData.SetDimensions(shape[2], shape[1], shape[0])
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetUndoEnabled(False)
    node.SetAndObserveImageData(imageData)
    node.SetIJKToRASMatrix(toVtk(np.array(provenance["ijk_to_ras"])))
    return slicer.mrmlScene.AddNode(node)
