# SPDX-License-Identifier: Apache-2.0
"""Real result documents of the bundled model, and segmentation files between Slicer and the engine, both ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
import slicerio
from unibiomed.tasks import from_json
from unibiomed.tasks.outputs import to_segmentation
from unibiomed.tasks.outputs.colors import segment_colors
from unibiomed.volumes import Volume
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.terminology import lookup, terms, to_slicer_tag
from unibiomed.volumes.writing import write_segmentation
from UniBiomedSlicerLib.ReportStore import ReportStore
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.SegmentRegion import segmentRegion
from UniBiomedSlicerLib.Terminology import Terminology, readEntry

RECORDED = sorted((Path(__file__).resolve().parents[2] / "host" / "results").glob("*.json"))


def _documentAndVolume(mrml, path):
    result = json.loads(path.read_text(encoding="utf-8"))
    provenance = result["provenance"]
    noise = np.random.default_rng(0).integers(0, 255, provenance["shape"]).astype(np.int16)
    return result, mrml.addVolume(noise, np.array(provenance["ijk_to_ras"]), "scan")


def _engineTargets(result):
    targets = []
    for item in result.get("segments", ()):
        term = lookup(item["phrase"], kind=None if item["kind"] == "unknown" else item["kind"])
        entry = {"phrase": item["phrase"], "name": item["target"], "kind": item["kind"]}
        targets.append({**entry, "rgb": list(term.rgb), "terminology": to_slicer_tag(term)})
    return targets


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_the_bundled_model_answers_comes_into_the_scene_whole(mrml, path):
    result, node = _documentAndVolume(mrml, path)
    writer = SegmentationWriter(node, targets=_engineTargets(result))
    ids = writer.write(result, jobId="job")
    items = result.get("segments", [])
    assert list(ids) == [item["id"] for item in items]
    for item in items:
        region = segmentRegion(writer.segmentationNode, ids[item["id"]], node)
        assert BoxMask.from_json(region) == BoxMask.from_json(item["mask"])
    if items:
        colors = segment_colors(from_json(result).segments)
        for key, segmentId in ids.items():
            segment = writer.segmentationNode.GetSegmentation().GetSegment(segmentId)
            assert tuple(round(part * 255) for part in segment.GetColor()) == colors[key]
    if "text" in result:
        store = ReportStore(mrml.scene)
        report = store.add(result, node, writer.segmentationNode, ids)
        document = store.document(report)
        assert document["text"] == result["text"]
        for span, original in zip(document["spans"], result.get("spans", ()), strict=True):
            assert document["text"][span["start"] : span["end"]] == original["text"]
            assert span["segments"] == [ids[key] for key in original["segments"]]


def test_every_code_of_the_engine_can_be_read_by_slicers_logic(host):
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    for term in terms():
        entry = slicer.vtkSlicerTerminologyEntry()
        tag = to_slicer_tag(term)
        assert logic.DeserializeTerminologyEntry(tag, entry)
        parts = readEntry(tag)
        assert parts["category"] == (term.category.scheme, term.category.value, term.category.meaning)
        assert entry.GetTypeObject().GetCodeValue() == parts["type"][1] == term.type.value
        assert ("typeModifier" in parts) == (term.modifier is not None)
        assert ("region" in parts) == (term.region is not None)
    targets = [
        {"phrase": f"{term.target} in x CT", "name": term.target, "terminology": to_slicer_tag(term)}
        for term in terms()
    ]
    terminology = Terminology(targets)
    assert all(terminology.entry(target["phrase"].upper(), "") == target["terminology"] for target in targets)


def _saved(node, path):
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    return path


def test_a_file_that_slicer_saves_tells_the_engines_side_everything(mrml, scan, tmp_path):
    shape = (5, 6, 7)
    big, small = np.zeros(shape, bool), np.zeros(shape, bool)
    big[1:4, 1:5, 2:6] = True
    small[2, 3, 3:7] = True
    term = lookup("left kidney", kind="anatomy")
    targets = [{"phrase": "left kidney in abdomen CT", "name": "left kidney", "terminology": to_slicer_tag(term)}]
    writer = SegmentationWriter(scan, targets=targets)
    items = [mrml.segmentItem("s1", "left kidney", big), mrml.segmentItem("s2", "stone: a|b", small)]
    writer.write(mrml.resultOf(shape, items), jobId="j")
    found = slicerio.read_segmentation(str(_saved(writer.segmentationNode, tmp_path / "x.seg.nrrd")))
    first, second = found["segments"]
    assert [first["name"], second["name"]] == ["left kidney", "stone: a|b"]
    assert first["terminology"]["type"] == ["SCT", "64033007", "Kidney"]
    assert first["terminology"]["typeModifier"] == ["SCT", "7771000", "Left"]
    assert first["tags"]["UniBiomed.Phrase"] == "left kidney in abdomen CT"
    assert first["tags"]["UniBiomed.JobId"] == "j"
    assert second["tags"]["UniBiomed.Target"] == "stone: a/b"
    assert second["tags"]["UniBiomed.ResultId"] == "s2"


@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 6, 7), (5, 1, 7), (2, 2, 2)])
def test_a_single_voxel_can_be_saved_and_loaded(mrml, shape, tmp_path):
    node = mrml.addVolume(np.random.default_rng(0).integers(0, 99, shape).astype(np.int16))
    mask = np.zeros(shape, bool)
    mask[-1, -1, -1] = True
    writer = SegmentationWriter(node, targets=[])
    writer.write(mrml.resultOf(shape, [mrml.segmentItem("s1", "liver", mask)]))
    path = _saved(writer.segmentationNode, tmp_path / "one.seg.nrrd")
    loaded = mrml.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "loaded")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(loaded)
    segmentId = loaded.GetSegmentation().GetNthSegmentID(0)
    np.testing.assert_array_equal(mrml.voxelsOf(loaded, segmentId, node), mask)


def test_a_file_that_the_engine_writes_is_known_again_in_slicer(mrml, tmp_path):
    path = next(path for path in RECORDED if path.stem == "segment")
    result, node = _documentAndVolume(mrml, path)
    volume = Volume.from_array(slicer.util.arrayFromVolume(node), np.array(result["provenance"]["ijk_to_ras"]))
    segmentation = to_segmentation(from_json(result), volume)
    (file,) = write_segmentation(tmp_path / "engine.seg.nrrd", segmentation, reference=volume)
    loaded = mrml.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "loaded")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(file))
    assert storage.ReadData(loaded)
    infos = SegmentationWriter.segmentsOf(loaded)
    assert [info.resultId for info in infos] == [item["id"] for item in result["segments"]]
    for info, item in zip(infos, result["segments"], strict=True):
        assert (info.phrase, info.target) == (item["phrase"], item["phrase"])
        assert BoxMask.from_json(segmentRegion(loaded, info.id, node)) == BoxMask.from_json(item["mask"])
