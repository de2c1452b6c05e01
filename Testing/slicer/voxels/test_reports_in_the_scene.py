# SPDX-License-Identifier: Apache-2.0
"""Reports as text nodes: linked to segments, edited, several a scene, and the same after saving and loading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import slicer
from unibiomed.volumes.masks import BoxMask
from UniBiomedSlicerLib import SegmentTags
from UniBiomedSlicerLib.ReportStore import ReportError, ReportStore
from UniBiomedSlicerLib.SegmentationWriter import SegmentationWriter
from UniBiomedSlicerLib.SegmentRegion import segmentRegion

SHAPE = (5, 6, 7)
TEXT = 'the liver is enlarged.\nno "tumour" – grün, 肝臓 & <b>'


def _masks():
    big, small = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    big[0:4, 0:4, 1:5] = True
    small[1:3, 2:5, 2:6] = True
    return big, small


@pytest.fixture
def result(mrml):
    big, small = _masks()
    items = [mrml.segmentItem("s1", "liver", big), mrml.segmentItem("s2", "left kidney", small)]
    spans = [
        {"start": 4, "end": 9, "text": "liver", "segments": ["s1", "s2"]},
        {"start": 27, "end": 33, "text": "tumour", "segments": ["s9"]},
    ]
    return mrml.resultOf(SHAPE, items, type="report", text=TEXT, spans=spans)


@pytest.fixture
def store(mrml):
    return ReportStore(mrml.scene)


@pytest.fixture
def written(scan, result):
    writer = SegmentationWriter(scan, targets=[])
    ids = writer.write(result)
    return writer.segmentationNode, ids


def test_phrases_point_to_segments_by_their_ids_in_the_scene(store, scan, result, written):
    segmentation, ids = written
    node = store.add(result, scan, segmentation, ids)
    document = store.document(node)
    assert document["text"] == TEXT
    assert [span["segments"] for span in document["spans"]] == [[ids["s1"], ids["s2"]], []]
    assert document["result"] == result
    assert not document["edited"]
    assert store.volumeNode(node) is scan
    assert store.segmentationNode(node) is segmentation
    assert node.GetAttribute("UniBiomed.Notice") == "AI generated, not for clinical use"


def test_an_edit_keeps_the_links_and_what_the_model_wrote(store, scan, result, written):
    segmentation, ids = written
    node = store.add(result, scan, segmentation, ids)
    store.setText(node, "The liver is fine.", [{"start": 4, "end": 9, "text": "liver", "segments": [ids["s1"]]}])
    document = store.document(node)
    assert (document["text"], document["originalText"], document["edited"]) == ("The liver is fine.", TEXT, True)
    assert document["spans"][0]["segments"] == [ids["s1"]]
    store.setText(node, TEXT, [])
    assert not store.document(node)["edited"]
    store.update(node, title="Second look", conversation=[{"question": "why?", "slice": 3}])
    assert store.document(node)["conversation"] == [{"question": "why?", "slice": 3}]
    store.document(node)["conversation"].clear()
    assert store.document(node)["conversation"]
    with pytest.raises(ReportError):
        store.update(node, spans=[{"start": 5, "end": 1}])
    assert store.document(node)["title"] == "Second look"


def test_a_further_answer_is_not_an_edit(store, scan, result):
    node = store.add(result, scan)
    store.update(node, text=TEXT + " more", spans=[])
    store.setText(node, TEXT + " more", [])
    assert not store.document(node)["edited"]
    store.setText(node, "mine", [])
    store.update(node, text="mine, and more")
    assert store.document(node)["edited"]


def test_a_segment_that_was_deleted_is_no_longer_pointed_to(store, scan, result, written):
    segmentation, ids = written
    node = store.add(result, scan, segmentation, ids)
    segmentation.GetSegmentation().RemoveSegment(ids["s1"])
    assert store.document(node)["spans"][0]["segments"] == [ids["s2"]]


def test_several_reports_of_several_volumes_live_side_by_side(mrml, store, scan, result):
    other = mrml.addVolume(np.arange(210).reshape(SHAPE).astype(np.int16), name="other")
    nodes = [store.add(result, volume) for volume in (scan, other, scan)]
    nodes.append(store.add(result, None))
    note = mrml.scene.AddNewNodeByClass("vtkMRMLTextNode", "a note of the user")
    assert store.reports() == nodes
    assert store.reports(scan) == [nodes[0], nodes[2]]
    assert not store.isReport(note)
    assert len({node.GetName() for node in nodes}) == 4
    store.remove(nodes[0])
    assert store.reports() == nodes[1:]
    mrml.scene.RemoveNode(other)
    assert store.volumeNode(nodes[1]) is None
    assert store.document(nodes[1])["text"] == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        json.dumps({"format": "unibiomed.slicer-report/9", "text": "x"}),
        json.dumps({"format": "unibiomed.slicer-report/1"}),
        json.dumps({"format": "unibiomed.slicer-report/1", "text": 5, "spans": []}),
        json.dumps({"format": "unibiomed.slicer-report/1", "text": "x", "spans": [{"start": 3, "end": 1}]}),
        json.dumps({"format": "unibiomed.slicer-report/1", "text": "x", "spans": "no"}),
    ],
)
def test_a_broken_document_is_left_out_with_a_sentence(store, scan, result, text):
    good, broken = store.add(result, scan), store.add(result, scan)
    broken.SetText(text)
    assert store.reports() == [good]
    assert len(store.problems) == 1
    assert broken.GetName() in store.problems[0]
    assert store.problems[0].endswith("left out.")
    with pytest.raises(ReportError):
        store.document(broken)
    assert store.reports(scan) == [good]


def _checkLoaded(scene, count=1):
    """What was saved by the tests below, in ``scene``: found by role and segment id, whatever the node ids are now."""
    store = ReportStore(scene)
    reports = store.reports()
    assert (len(reports), store.problems) == (count, [])
    big, small = _masks()
    for node in reports:
        document = store.document(node)
        assert document["text"] == TEXT
        segmentation, volume = store.segmentationNode(node), store.volumeNode(node)
        assert volume.GetName() == "CTChest"
        ids = document["spans"][0]["segments"]
        assert [segmentation.GetSegmentation().GetSegment(key).GetName() for key in ids] == ["liver", "left kidney"]
        for key, mask in zip(ids, (big, small), strict=True):
            assert BoxMask.from_json(segmentRegion(segmentation, key, volume)) == BoxMask.from_full(mask)
            assert SegmentTags.isUnedited(segmentation.GetSegmentation(), key)
        infos = SegmentationWriter.segmentsOf(segmentation)
        assert [(info.resultId, info.confidence) for info in infos] == [("s1", 0.75), ("s2", 0.75)]
        assert list(SegmentTags.provenanceOf(segmentation)) == ["job-1"]
        assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is volume
    return reports


@pytest.fixture
def saved(mrml, scan, result, store):
    writer = SegmentationWriter(scan, targets=[])
    ids = writer.write(result, jobId="job-1")
    # A transform with numbers that text cannot hold exactly.
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    transform = mrml.addTransform(turn)
    for node in (scan, writer.segmentationNode):
        node.SetAndObserveTransformNodeID(transform.GetID())
    store.add(result, scan, writer.segmentationNode, ids)
    return mrml.scene


def _save(scene, path: Path):
    logic = slicer.app.applicationLogic() if hasattr(slicer, "app") else slicer.vtkMRMLApplicationLogic()
    logic.SetMRMLScene(scene)
    assert scene.WriteToMRB(str(path))


def test_a_saved_scene_comes_back_with_report_links_and_masks(saved, tmp_path):
    path = tmp_path / "case – ü.mrb"
    _save(saved, path)
    saved.Clear(False)
    assert saved.ReadFromMRB(str(path), True)
    _checkLoaded(saved)


def test_a_scene_added_to_itself_gets_new_node_ids_and_keeps_its_links(saved, tmp_path):
    path = tmp_path / "case.mrb"
    _save(saved, path)
    assert saved.ReadFromMRB(str(path), False)
    reports = _checkLoaded(saved, count=2)
    store = ReportStore(saved)
    assert store.segmentationNode(reports[0]) is not store.segmentationNode(reports[1])
    assert store.volumeNode(reports[0]) is not store.volumeNode(reports[1])
