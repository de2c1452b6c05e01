# SPDX-License-Identifier: Apache-2.0
"""Volume nodes of every kind: what the engine is sent, and what is refused, with the reason."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from unibiomed.volumes.modalities import MODALITIES, guess_mri_sequence, parse_modality
from UniBiomedSlicerLib.Modality import guessModality, knownModality, mriSequence
from UniBiomedSlicerLib.VolumeReader import VolumeError, identify, readVolume

NOISE = np.random.default_rng(0).integers(0, 200, (3, 4, 5))


def test_the_voxels_are_shared_not_copied(scan):
    payload = readVolume(scan)
    assert np.shares_memory(payload.array, slicer.util.arrayFromVolume(scan))
    assert payload.array.flags.c_contiguous
    assert (payload.name, payload.nodeId, payload.spatial) == ("CTChest", scan.GetID(), True)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_ordinary_voxel_types_are_sent_as_they_are(mrml, dtype):
    payload = readVolume(mrml.addVolume((NOISE % 100).astype(dtype)))
    assert payload.array.dtype == np.dtype(dtype).newbyteorder("<")
    np.testing.assert_array_equal(payload.array, NOISE % 100)


@pytest.mark.parametrize(("factor", "kind"), [(1, "i4"), (-1, "i4"), (2**24, "u4"), (2**40, "f8")])
def test_64_bit_whole_numbers_become_what_holds_them(mrml, factor, kind):
    node = mrml.addVolume(NOISE.astype(np.int16))
    wide = vtk.vtkLongLongArray()
    wide.SetNumberOfValues(NOISE.size)
    node.GetImageData().GetPointData().SetScalars(wide)
    slicer.util.arrayFromVolume(node)[:] = NOISE.astype(np.int64) * factor
    payload = readVolume(node)
    assert payload.array.dtype == np.dtype(kind)
    np.testing.assert_array_equal(payload.array, NOISE.astype(np.int64) * factor)


def test_an_array_that_is_not_one_block_of_memory_is_copied(mrml):
    node = mrml.addVolume(NOISE.astype(np.int16))
    parts = vtk.vtkSOADataArrayTemplate["int16"]() if hasattr(vtk, "vtkSOADataArrayTemplate") else None
    if parts is None:
        pytest.skip("this VTK has no array in several blocks")
    parts.DeepCopy(node.GetImageData().GetPointData().GetScalars())
    node.GetImageData().GetPointData().SetScalars(parts)
    np.testing.assert_array_equal(readVolume(node).array, NOISE)


def test_bits_are_read_as_bytes(mrml):
    node = mrml.addVolume(NOISE.astype(np.uint8))
    bits = vtk.vtkBitArray()
    bits.DeepCopy(node.GetImageData().GetPointData().GetScalars())
    node.GetImageData().GetPointData().SetScalars(bits)
    payload = readVolume(node)
    assert payload.array.dtype == np.uint8
    np.testing.assert_array_equal(payload.array, NOISE != 0)


def test_colour_is_sent_as_rgb_and_transparency_turns_black(mrml):
    colour = np.random.default_rng(1).integers(0, 256, (1, 4, 5, 4)).astype(np.uint8)
    colour[..., 3] = [0, 255, 0, 255, 255]
    rgba = readVolume(mrml.addVolume(colour, kind="vtkMRMLVectorVolumeNode"))
    assert rgba.array.shape == (1, 4, 5, 3)
    assert not rgba.array[:, :, [0, 2]].any()
    np.testing.assert_array_equal(rgba.array[:, :, [1, 3, 4]], colour[:, :, [1, 3, 4], :3])
    rgb = readVolume(mrml.addVolume(colour[..., :3], kind="vtkMRMLVectorVolumeNode"))
    np.testing.assert_array_equal(rgb.array, colour[..., :3])
    assert not rgb.spatial


def test_16_bit_colour_loses_its_low_byte_and_says_so(mrml):
    colour = np.random.default_rng(1).integers(0, 65536, (1, 4, 5, 3)).astype(np.uint16)
    payload = readVolume(mrml.addVolume(colour, kind="vtkMRMLVectorVolumeNode"))
    np.testing.assert_array_equal(payload.array, colour >> 8)
    assert len(payload.notes) == 1


def _empty(mrml):
    return mrml.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")


def _labelmap(mrml):
    return mrml.addVolume(NOISE.astype(np.int16), kind="vtkMRMLLabelMapVolumeNode")


def _nan(mrml):
    voxels = NOISE.astype(np.float32)
    voxels[1, 2, 3] = np.nan
    return mrml.addVolume(voxels)


def _infinite(mrml):
    voxels = NOISE.astype(np.float64)
    voxels[2, 3, 4] = np.inf
    return mrml.addVolume(voxels)


def _constant(mrml):
    return mrml.addVolume(np.full((3, 4, 5), 7, np.int16))


def _line(mrml):
    return mrml.addVolume(NOISE[:1, :1].astype(np.int16))


def _channels(mrml):
    return mrml.addVolume(np.zeros((3, 4, 5, 6), np.float32), kind="vtkMRMLVectorVolumeNode")


def _displacements(mrml):
    node = mrml.addVolume(np.zeros((3, 4, 5, 3), np.uint8), kind="vtkMRMLVectorVolumeNode")
    node.SetVoxelVectorType(slicer.vtkMRMLVolumeNode.VoxelVectorTypeSpatial)
    return node


def _floatColour(mrml):
    return mrml.addVolume(np.random.default_rng(0).random((3, 4, 5, 3)), kind="vtkMRMLVectorVolumeNode")


def _bent(mrml):
    node = mrml.addVolume(NOISE.astype(np.int16))
    spline = vtk.vtkThinPlateSplineTransform()
    transform = mrml.scene.AddNewNodeByClass("vtkMRMLTransformNode", "bending")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return node


def _sheared(mrml):
    node = mrml.addVolume(NOISE.astype(np.int16))
    shear = np.eye(4)
    shear[0, 1] = 0.2
    node.SetAndObserveTransformNodeID(mrml.addTransform(shear).GetID())
    return node


def _gantryTilt(mrml):
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 0.5
    return mrml.addVolume(NOISE.astype(np.int16), affine)


def _flattened(mrml):
    node = mrml.addVolume(NOISE.astype(np.int16))
    node.SetAndObserveTransformNodeID(mrml.addTransform(np.diag([1.0, 1.0, 0.0, 1.0])).GetID())
    return node


def _model(mrml):
    return mrml.scene.AddNewNodeByClass("vtkMRMLModelNode", "scan")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_empty, "no voxels"),
        (_labelmap, "label map"),
        (_nan, "not a number"),
        (_infinite, "not a number"),
        (_constant, "the same value everywhere"),
        (_line, "5 x 1 x 1"),
        (_channels, "6 values in each voxel"),
        (_displacements, "vectors in space"),
        (_floatColour, "8-bit"),
        (_bent, "non-linear"),
        (_sheared, "right angles"),
        (_gantryTilt, "right angles"),
        (_flattened, "0 mm|right angles|not finite"),
        (_model, "not a volume"),
        (lambda mrml: None, "No volume is chosen"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(mrml, make, words):
    with pytest.raises(VolumeError, match=words) as refusal:
        readVolume(make(mrml))
    text = str(refusal.value)
    assert text.endswith(".")
    assert ". " not in text
    assert "\n" not in text


def test_the_look_at_the_voxels_comes_in_steps_and_stops_early_for_whole_numbers(mrml):
    numbers = np.zeros((40, 256, 256), np.int16)
    numbers[0, 0, 1] = 1
    assert len(list(readVolume(mrml.addVolume(numbers), check=False).checkSteps())) == 0
    floats = numbers.astype(np.float32)
    fractions = list(readVolume(mrml.addVolume(floats), check=False).checkSteps())
    assert len(fractions) == 3
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_state_changes_with_voxels_geometry_and_transform_and_with_nothing_else(mrml, scan):
    states = [identify(scan)]
    scan.SetName("renamed")
    scan.CreateDefaultDisplayNodes()
    scan.GetDisplayNode().SetWindow(50)
    assert identify(scan) == states[0]
    slicer.util.arrayFromVolume(scan)[0, 0, 0] += 1
    slicer.util.arrayFromVolumeModified(scan)
    states.append(identify(scan))
    scan.SetSpacing(1, 2, 3)
    states.append(identify(scan))
    transform = mrml.addTransform(np.diag([-1.0, -1.0, 1.0, 1.0]))
    scan.SetAndObserveTransformNodeID(transform.GetID())
    states.append(identify(scan))
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 2.0, 1.0])))
    states.append(identify(scan))
    slicer.util.updateVolumeFromArray(scan, np.zeros((2, 2, 2), np.int16))
    states.append(identify(scan))
    assert len(set(states)) == len(states)
    assert all(identify(scan) == states[-1] for _ in range(3))


def test_the_item_of_a_sequence_that_is_shown_is_the_one_that_is_read(mrml):
    sequence = mrml.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "beating heart")
    for time in range(3):
        frame = slicer.vtkMRMLScalarVolumeNode()
        slicer.util.updateVolumeFromArray(frame, (NOISE + 1000 * time).astype(np.int16))
        frame.SetSpacing(2, 2, 5)
        sequence.SetDataNodeAtValue(frame, str(time))
    browser = mrml.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(mrml.scene)
    browser.SetSelectedItemNumber(1)
    logic.UpdateProxyNodesFromSequences(browser)
    shown = browser.GetProxyNode(sequence)
    np.testing.assert_array_equal(readVolume(shown).array, NOISE + 1000)
    before = identify(shown)
    browser.SetSelectedItemNumber(2)
    logic.UpdateProxyNodesFromSequences(browser)
    np.testing.assert_array_equal(readVolume(shown).array, NOISE + 2000)
    assert identify(shown) != before


def test_a_picture_has_no_place_in_the_patient_and_a_scan_has(mrml):
    picture = mrml.addVolume(NOISE[:1].astype(np.uint8))
    assert not readVolume(picture).spatial
    picture.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 1.0, 1.0])))
    assert readVolume(picture).spatial
    assert readVolume(mrml.addVolume(NOISE.astype(np.int16))).spatial
    assert readVolume(mrml.addVolume(NOISE[:1].astype(np.int16), np.diag([-0.7, -0.7, 5, 1]))).spatial


def _loadedFromDicom(mrml, node, modality):
    """As Slicer's DICOM module leaves a volume: a series item in a study of a patient."""
    hierarchy = mrml.scene.GetSubjectHierarchyNode()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.SetItemUID(study, "DICOM", "1.2.3")
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(study, node)
    hierarchy.SetItemParent(item, study)
    hierarchy.SetItemUID(item, "DICOM", "1.2.3.4")
    hierarchy.SetItemAttribute(item, "DICOM.Modality", modality)
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3.4.1 1.2.3.4.2")


def test_dicom_tells_modality_and_uids(mrml, monkeypatch):
    node = mrml.addVolume(NOISE.astype(np.int16), np.diag([-1.0, -1, 3, 1]), "3: AX T2 FLAIR")
    _loadedFromDicom(mrml, node, "MR")
    payload = readVolume(node)
    assert payload.modality == "MRI-FLAIR"
    assert payload.source == {"series_uid": "1.2.3.4", "study_uid": "1.2.3"}
    assert payload.dicomInstanceUids == ["1.2.3.4.1", "1.2.3.4.2"]
    values = {"0020,0052": "1.2.9", "0008,103E": "T1 axial", "0018,0010": "gadolinium"}
    database = SimpleNamespace(isOpen=True, instanceValue=lambda uid, tag: values.get(tag.upper(), ""))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    payload = readVolume(node)
    assert payload.modality == "MRI-T1-Gd"
    assert payload.source["frame_of_reference_uid"] == "1.2.9"
    assert readVolume(node, modality="CT").modality == "CT"


@pytest.mark.parametrize("code", ["CT", "MR", "CR", "DX", "MG", "US", "OP", "OPT", "ES", "XC", "SM", "XA"])
def test_dicom_codes_mean_what_they_mean_to_the_engine(mrml, code):
    node = mrml.addVolume(NOISE.astype(np.int16), name="image")
    node.SetAttribute("DICOM.Modality", code)
    assert knownModality(node) == parse_modality(code)
    assert knownModality(node) in MODALITIES


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("CTChest", "CT"),
        ("CTACardio", "CT"),
        ("MRHead", "MRI"),
        ("patient3_T1w", "MRI-T1"),
        ("sub-01_FLAIR", "MRI-FLAIR"),
        ("CT-MR Brain - CT", None),
        ("MRUSProstate", None),
        ("chest x-ray", "X-Ray"),
        ("Director's cut", None),
        ("4: octopus", None),
        ("image", None),
    ],
)
def test_a_name_is_believed_only_where_it_speaks_plainly(mrml, name, guess):
    node = mrml.addVolume(NOISE.astype(np.int16), name=name)
    assert guessModality(node) == guess
    assert readVolume(node).modality is None


@pytest.mark.parametrize("contrast", [False, True])
@pytest.mark.parametrize("text", ["T1", "t2w tse", "AX T2 FLAIR", "T1 post Gd", "ADC (10^-6)", "t1 t2 map", "MPRAGE"])
def test_mri_sequences_are_told_as_the_engine_tells_them(text, contrast):
    assert mriSequence(text, contrast=contrast) == guess_mri_sequence(text, contrast=contrast)
