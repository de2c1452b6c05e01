# SPDX-License-Identifier: Apache-2.0
"""Real MRML nodes and result documents, small enough to check every voxel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from unibiomed.volumes.masks import BoxMask


def addVolume(array, affine=None, name="scan", kind="vtkMRMLScalarVolumeNode", scene=None):
    """A volume node with these voxels [k, j, i(, components)] and this IJK to RAS."""
    scene = scene or slicer.mrmlScene
    node = scene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
    node.SetIJKToRASMatrix(
        slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine)
    )
    return node


def addTransform(affine, name="moved"):
    """A linear transform node."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(affine, float)))
    return node


def segmentItem(identifier, target, mask, **more):
    """One segment of a result document; ``mask`` is a full bool array or a BoxMask."""
    box = mask if isinstance(mask, BoxMask) else BoxMask.from_full(mask)
    return {
        "id": identifier,
        "phrase": f"{target} in abdomen CT",
        "target": target,
        "kind": "anatomy",
        "mask": box.to_json(),
        "slices": list(box.slices),
        "voxels": box.voxel_count,
        "confidence": 0.75,
        **more,
    }


def resultOf(shape, segments, **more):
    """A segmentation result document for a volume of this shape (k, j, i)."""
    provenance = {
        "task": "segment",
        "model": "mini",
        "model_version": "0.1",
        "weights_sha256": "ab" * 32,
        "engine_version": "0.1.0",
        "modality": "CT",
        "axis": "axial",
        "window": {"name": "ct-abdomen"},
        "date": "2026-01-02T03:04:05+00:00",
        "shape": list(shape),
        "ijk_to_ras": np.eye(4).tolist(),
        **more.pop("provenance", {}),
    }
    return {"type": "segmentation", "provenance": provenance, "segments": segments, "not_found": [], **more}


def voxelsOf(segmentationNode, segmentId, volumeNode):
    """What Slicer itself exports of a segment onto a volume's grid, bool [k, j, i]."""
    scene = segmentationNode.GetScene()
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportSegmentsToLabelmapNode(segmentationNode, [segmentId], labelmap, volumeNode)
    voxels = slicer.util.arrayFromVolume(labelmap).astype(bool)
    scene.RemoveNode(labelmap)
    return voxels


def worldPoints(segmentationNode, segmentId):
    """World RAS of the segment's voxels (n, 3), sorted, parent transform applied by Slicer."""
    image = slicer.vtkOrientedImageData()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.GetSegmentBinaryLabelmapRepresentation(segmentationNode, segmentId, image, False)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    i, j, k = image.GetDimensions()
    labels = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)
    indices = np.argwhere(labels)[:, ::-1] + np.array(image.GetExtent()[0::2])
    toWorld = np.eye(4)
    if segmentationNode.GetParentTransformNode() is not None:
        world = vtk.vtkMatrix4x4()
        segmentationNode.GetParentTransformNode().GetMatrixTransformToWorld(world)
        toWorld = slicer.util.arrayFromVTKMatrix(world)
    return pointsOf(toWorld @ slicer.util.arrayFromVTKMatrix(matrix), indices)


def pointsOf(affine, indices):
    """World RAS of voxel indices (i, j, k), sorted."""
    points = np.asarray(indices, float) @ affine[:3, :3].T + affine[:3, 3]
    return np.array(sorted(map(tuple, np.round(points, 3))))


@pytest.fixture
def mrml(host):
    """The functions above, on the host's empty scene."""
    import vtk.util.numpy_support  # noqa: F401

    return SimpleNamespace(
        host=host,
        scene=slicer.mrmlScene,
        addVolume=addVolume,
        addTransform=addTransform,
        segmentItem=segmentItem,
        resultOf=resultOf,
        voxelsOf=voxelsOf,
        worldPoints=worldPoints,
        pointsOf=pointsOf,
    )


@pytest.fixture
def scan(mrml):
    """A volume of 5 x 6 x 7 voxels [k, j, i] with a plain grid, and noise in it."""
    noise = np.random.default_rng(1).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    return mrml.addVolume(
        noise, np.array([[-1.5, 0, 0, 30], [0, -1.5, 0, 40], [0, 0, 3, -50], [0, 0, 0, 1.0]]), "CTChest"
    )
