# SPDX-License-Identifier: Apache-2.0
"""The logic alone, as a script uses it."""

from __future__ import annotations

import gc
import weakref

import pytest
import slicer
from UniBiomedSegmentLib.Logic import UniBiomedSegmentLogic


@pytest.fixture
def logic(host, fake):
    made = UniBiomedSegmentLogic()
    yield made
    made.cleanup()


def test_the_example_of_the_docstring_runs_as_it_stands(host, fake, volume):
    volume.SetName("CTChest")
    lines = UniBiomedSegmentLogic.__doc__.split("::", 1)[1].split("The engine is started")[0]
    import textwrap

    fake.autoplay = True
    names = {"slicer": slicer, "print": lambda *parts: names["said"].append(parts), "said": []}
    exec(textwrap.dedent(lines), names)
    host.spin(until=lambda: len(names["said"]) == 3)
    assert names["said"][0][0] == "done"
    assert names["run"].segmentIds["liver in abdomen CT"]
    names["logic"].cleanup()


def test_the_call_back_comes_once_with_the_segments_by_phrase(host, logic, fake, volume):
    ends = []
    run = logic.segment(volume, ["liver", " spleen"], onFinished=ends.append, segmentationName="Mine")
    run.job.finishWith()
    host.spin(until=lambda: ends)
    host.spin(seconds=0.1)
    assert ends == [run]
    assert run.segmentationNode.GetName() == "Mine"
    segmentation = run.segmentationNode.GetSegmentation()
    assert segmentation.GetSegment(run.segmentIds["spleen in abdomen CT"]).GetName() == "spleen"
    assert [entry["target"] for entry in run.notFound] == ["kidney tumor"]
    assert logic.runs == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"targets": []}, "No target"),
        ({"targets": ["  "]}, "No target"),
        ({"targets": "liver", "slices": []}, "No slice"),
        ({"targets": "liver", "method": "magic"}, "magic"),
        ({"targets": "liver", "keySlice": 3}, "propagate"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(logic, fake, volume, arguments, words):
    with pytest.raises(ValueError, match=words):
        logic.segment(volume, **arguments)
    assert fake.jobs == []


def test_without_a_volume_nothing_is_asked(logic, fake, volume):
    with pytest.raises(ValueError, match="volume"):
        logic.segment(None, "liver")
    slicer.mrmlScene.RemoveNode(volume)
    with pytest.raises(ValueError, match="volume"):
        logic.segment(volume, "liver")


def test_only_what_is_chosen_is_sent(logic, fake, volume):
    logic.segment(volume, "liver", slices=range(3), axis="axial", method="propagate", keySlice=1)
    assert fake.jobs[-1].parameters == {
        "targets": ["liver"],
        "slices": [0, 1, 2],
        "axis": "axial",
        "method": "propagate",
        "key_slice": 1,
    }


def test_segments_are_added_to_a_segmentation_that_has_others(host, logic, fake, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Own")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("mine", "mine")
    run = logic.segment(volume, "liver", segmentationNode=node)
    run.job.finishWith()
    host.spin(until=lambda: not run.isActive)
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegment(i).GetName() for i in range(4)] == ["mine", "liver", "spleen", "liver tumor"]


def test_a_segmentation_deleted_while_it_is_filled_leaves_the_result_on_offer(host, logic, fake, volume):
    run = logic.segment(volume, "liver")
    run.job.finishWith()
    assert run.state == "writing"
    slicer.mrmlScene.RemoveNode(run.segmentationNode)
    host.spin(until=lambda: run.state == "offered")
    assert "deleted" in run.message
    run.addAsNew()
    host.spin(until=lambda: run.state == "done")
    assert run.segmentationNode.GetSegmentation().GetNumberOfSegments() == 3


def test_closing_the_scene_while_an_offered_result_is_added_ends_quietly(host, logic, fake, volume):
    ends = []
    run = logic.segment(volume, "liver", onFinished=ends.append)
    volume.SetSpacing(1, 1, 1)
    run.job.finishWith()
    run.addAsNew()
    host.newScene()
    host.spin(seconds=0.1)
    assert ends == [run]
    assert not run.isActive
    assert logic.runs == []
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_a_volume_deleted_while_the_result_is_written_leaves_it_on_offer(host, logic, fake, volume):
    run = logic.segment(volume, "liver")
    run.job.finishWith()
    assert run.state == "writing"
    slicer.mrmlScene.RemoveNode(volume)
    host.spin(until=lambda: run.state == "offered")
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    run.addAsNew()
    host.spin(until=lambda: run.state == "done")
    assert run.segmentationNode.GetSegmentation().GetNumberOfSegments() == 3


def test_a_result_that_cannot_be_read_is_told_and_leaves_no_empty_segmentation(host, logic, fake, volume):
    run = logic.segment(volume, "liver")
    result = run.job.expectedResult()
    result["segments"][0]["mask"]["bits"] = "damaged"
    run.job.finishWith(result)
    host.spin(until=lambda: not run.isActive)
    assert run.state == "failed"
    assert "liver" in run.message
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_cancelling_twice_and_after_the_end_does_nothing(host, logic, fake, volume):
    run = logic.segment(volume, "liver")
    run.cancel()
    run.cancel()
    host.spin(until=lambda: not run.isActive)
    run.cancel()
    assert run.state == "cancelled"


def test_a_listener_that_fails_does_not_stop_the_run(host, logic, fake, volume, caplog):
    run = logic.segment(volume, "liver", onFinished=lambda run: 1 / 0)
    run.job.finishWith()
    host.spin(until=lambda: run.state == "done")
    assert logic.runs == []
    assert "failed" in caplog.text
    assert any("ZeroDivisionError" in problem for problem in host.takeProblems())


def test_a_run_that_has_ended_is_kept_by_nobody(host, logic, fake, volume):
    ended = []
    for end in ("finish", "cancel", "fail"):
        run = logic.segment(volume, "liver")
        for step in run.job.steps()[:6]:
            step()
        host.spin(seconds=0.25)
        if end == "cancel":
            run.cancel()
        else:
            (run.job.finishWith if end == "finish" else run.job.failWith)()
        host.spin(until=lambda run=run: not run.isActive)
        ended.append(weakref.ref(run))
        fake.jobs.clear()
        del run
    host.spin()
    gc.collect()
    assert [reference() for reference in ended] == [None, None, None]


def test_two_modules_use_the_engine_at_once(host, fake, volume):
    first, second = UniBiomedSegmentLogic(), UniBiomedSegmentLogic()
    runs = [first.segment(volume, "liver"), second.segment(volume, "spleen")]
    for run in reversed(runs):
        run.job.finishWith()
    host.spin(until=lambda: not any(run.isActive for run in runs))
    assert [run.state for run in runs] == ["done", "done"]
    assert runs[0].segmentationNode is not runs[1].segmentationNode
    first.cleanup()
    second.cleanup()


def test_colours_are_those_of_the_engine_also_when_it_was_started_by_the_job(host, logic, fake, volume):
    known, fake.targets = fake.targets, []
    run = logic.segment(volume, "liver")
    fake.targets = known
    run.job.finishWith()
    host.spin(until=lambda: run.state == "done")
    liver = run.segmentationNode.GetSegmentation().GetSegment(run.segmentIds["liver in abdomen CT"])
    assert [round(255 * part) for part in liver.GetColor()] == known[0]["rgb"]
