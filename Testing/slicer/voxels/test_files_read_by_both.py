# SPDX-License-Identifier: Apache-2.0
"""A file that Slicer loads gives the engine the same voxels, in the same place, as when the engine reads it itself."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from PIL import Image
from unibiomed.volumes import read_volume
from UniBiomedSlicerLib.VolumeReader import readVolume

SAMPLE = Path(__file__).resolve().parents[3] / "UniBiomedSlicer/Engine/src/unibiomed/samples"
NOISE = np.random.default_rng(0).integers(0, 255, (6, 7, 8))


def _loadedInSlicer(scene, path, kind="vtkMRMLScalarVolumeNode"):
    node = scene.AddNewNodeByClass(kind, path.stem)
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    storage.ResetFileNameList()
    storage.SetSingleFile(True)
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.ReadData(node)
    return node


def _compare(scene, path, kind="vtkMRMLScalarVolumeNode"):
    ours, engines = readVolume(_loadedInSlicer(scene, path, kind)), read_volume(path)
    array, affine = ours.array, np.array(ours.ijkToRas)
    if np.linalg.det(engines.ijk_to_ras[:3, :3]) * np.linalg.det(affine[:3, :3]) < 0:
        # Slicer turns the order of the slices of a left-handed file round when it loads it.
        array = array[::-1]
        affine = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, array.shape[0] - 1], [0, 0, 0, 1]])
    assert array.shape == engines.array.shape
    np.testing.assert_array_equal(array, np.asarray(engines.array))
    np.testing.assert_allclose(affine, engines.ijk_to_ras, atol=1e-3)
    assert ours.spatial == engines.spatial
    return ours, engines


def test_the_bundled_sample(mrml):
    (path,) = SAMPLE.glob("*/*.nrrd")
    ours, engines = _compare(mrml.scene, path)
    assert ours.array.dtype == engines.array.dtype


@pytest.mark.parametrize("ending", ["nrrd", "mha", "nii.gz"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "float64"])
def test_oblique_volumes_of_every_format(mrml, tmp_path, ending, kind):
    image = sitk.GetImageFromArray(NOISE.astype(kind))
    angle = 0.4
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, -1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    image.SetDirection(turn.ravel())
    image.SetSpacing((0.7, 1.1, 3.0))
    image.SetOrigin((10.5, -20.25, 300.0))
    path = tmp_path / f"oblique.{ending}"
    sitk.WriteImage(image, str(path))
    _compare(mrml.scene, path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order(mrml, tmp_path, order):
    path = tmp_path / "order.nii"
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype("i2").newbyteorder(order))
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    nibabel.save(nibabel.Nifti1Image((NOISE.T * 100).astype(np.int16), affine, header), path)
    ours, _engines = _compare(mrml.scene, path)
    assert ours.array.dtype == np.dtype("<i2")


@pytest.mark.parametrize(("mode", "ending"), [("L", "png"), ("RGB", "png"), ("RGB", "tif"), ("L", "bmp")])
def test_pictures(mrml, tmp_path, mode, ending):
    """The library used here has no reader for pictures; desktop Slicer's leaves the node as it is made here."""
    shape = (1, 9, 11) if mode == "L" else (1, 9, 11, 3)
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(pixels[0]).save(path)
    kind = "vtkMRMLScalarVolumeNode" if mode == "L" else "vtkMRMLVectorVolumeNode"
    node = mrml.addVolume(pixels, np.diag([-1.0, -1.0, 1.0, 1.0]), "picture", kind)
    storage = mrml.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    ours, engines = readVolume(node), read_volume(path)
    np.testing.assert_array_equal(ours.array, np.asarray(engines.array))
    np.testing.assert_array_equal(ours.ijkToRas, engines.ijk_to_ras)
    assert not ours.spatial
    assert not engines.spatial


def test_a_copy_of_a_node_shares_its_voxels(mrml):
    (path,) = SAMPLE.glob("*/*.nrrd")
    node = _loadedInSlicer(mrml.scene, path)
    before = readVolume(node)
    copied = slicer.vtkMRMLScalarVolumeNode()
    copied.Copy(node)
    copied.SetAndObserveImageData(node.GetImageData())
    mrml.scene.AddNode(copied)
    after = readVolume(copied)
    assert np.shares_memory(before.array, after.array)
    assert before.ijkToRas == after.ijkToRas
