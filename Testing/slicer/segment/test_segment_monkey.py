# SPDX-License-Identifier: Apache-2.0
"""Somebody who does anything in any order: nothing raises, no preview stays, the button tells the truth."""

from __future__ import annotations

import random

import numpy as np
import pytest
import slicer

STEPS = 60

pytestmark = pytest.mark.slow


class Monkey:
    """Does random things to the panel, the scene and the engine, as far as they can be done now."""

    def __init__(self, host, fake, panel, seed):
        self.host, self.fake, self.panel, self.ui = host, fake, panel, panel.ui
        self.dice = random.Random(seed)
        self.done = []

    def act(self):
        action = self.dice.choice([name for name in dir(self) if name.startswith("do_")])
        self.done.append(action)
        getattr(self, action)()
        if self.dice.random() < 0.6:
            self.host.spin(seconds=self.dice.choice([0.0, 0.02, 0.25]))

    def volumes(self):
        return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")

    def segmentations(self):
        found = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in found if not node.GetHideFromEditors()]

    def one(self, things):
        return self.dice.choice(things) if things else None

    def openJobs(self):
        return [job for job in self.fake.jobs if not job.hasEnded]

    def do_type(self):
        line = self.ui.promptLineEdit
        if self.dice.random() < 0.5:
            line.setText(self.dice.choice(["liver", "liver, spleen", "livr", "", "tumor, kidney", "liver,,\n;aorta"]))
        else:
            self.host.type(line, self.dice.choice(["kid", ", ", "spleen", "\n"]))

    def do_press(self):
        if self.ui.applyButton.enabled:
            self.host.click(self.ui.applyButton)

    do_pressAgain = do_press

    def do_jobGoesOn(self):
        job = self.one(self.openJobs())
        if job is not None and job.volumeNode() is not None:
            for step in job.steps()[:-1][: self.dice.randrange(30)]:
                step()

    def do_jobEnds(self):
        job = self.one(self.openJobs())
        if job is not None:
            if self.dice.random() < 0.7 and job.volumeNode() is not None:
                job.finishWith()
            else:
                job.failWith("It could not be done.")

    def do_engine(self):
        if self.dice.random() < 0.3:
            self.fake.crash()
        else:
            self.fake.setState(
                self.dice.choice(["ready", "ready", "stopped", "loading", "notInstalled", "unreachable"])
            )

    def do_addVolume(self):
        if len(self.volumes()) < 4:
            shape = (self.dice.randrange(1, 9), 20, 24)
            voxels = np.random.default_rng(self.dice.randrange(9)).integers(-1000, 1000, shape).astype(np.int16)
            self.host.addVolume(voxels, np.diag([-2.0, -2, 4, 1]), "CTMore")

    def do_deleteVolume(self):
        if self.volumes() and self.dice.random() < 0.4:
            slicer.mrmlScene.RemoveNode(self.one(self.volumes()))

    def do_changeVolume(self):
        node = self.one(self.volumes())
        if node is not None and self.dice.random() < 0.5:
            node.SetSpacing(1.5, 1.5, self.dice.choice([3.0, 4.0]))

    def do_chooseVolume(self):
        self.ui.volumeSelector.setCurrentNode(self.one(self.volumes()))

    def do_editSegmentation(self):
        node = self.one(self.segmentations())
        if node is None:
            return
        segmentation = node.GetSegmentation()
        if segmentation.GetNumberOfSegments() and self.dice.random() < 0.5:
            segmentation.RemoveSegment(segmentation.GetNthSegmentID(0))
        else:
            segmentation.AddEmptySegment()

    def do_deleteSegmentation(self):
        if self.segmentations() and self.dice.random() < 0.5:
            slicer.mrmlScene.RemoveNode(self.one(self.segmentations()))

    def do_chooseOutput(self):
        self.ui.outputSelector.setCurrentNode(self.one([None, *self.segmentations()]))

    def do_options(self):
        box = self.dice.choice([self.ui.scopeComboBox, self.ui.viewComboBox, self.ui.methodComboBox])
        self.host.choose(box, box.itemText(self.dice.randrange(box.count)))
        self.ui.replaceCheckBox.checked = self.dice.random() < 0.5

    def do_rangeAndViews(self):
        self.ui.rangeWidget.setValues(self.dice.randrange(9), self.dice.randrange(9, 24))
        self.host.sliceNode(self.dice.choice(["Red", "Green", "Yellow"])).JumpSlice(
            *self.dice.choices(range(-30, 30), k=3)
        )

    def do_settleOffer(self):
        if self.panel.isShown(self.ui.offerFrame):
            self.host.click(self.dice.choice([self.ui.addAsNewButton, self.ui.discardButton]))

    def do_table(self):
        table = self.ui.resultTable
        if table.rowCount and self.panel.isShown(table):
            self.host.click(table.viewport(), table.visualItemRect(table.item(0, self.dice.randrange(4))).center())

    def do_leaveAndReturn(self):
        self.panel.widget.exit()
        self.host.spin()
        self.panel.widget.enter()

    def do_closeScene(self):
        if self.dice.random() < 0.15:
            self.host.newScene()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_in_whatever_order(host, fake, panel, seed):
    monkey = Monkey(host, fake, panel, seed)
    for _step in range(STEPS):
        monkey.act()
        run = panel.widget.panel.runs.run
        assert (panel.ui.applyButton.text == "Apply") == (run is None), monkey.done
    for job in monkey.openJobs():
        job.finishWith() if job.volumeNode() is not None else job.failWith("No volume.")
    host.spin(seconds=0.4)
    assert panel.logic.activeRuns() == [], monkey.done
    assert panel.ui.applyButton.text == "Apply"
    hidden = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if node.GetHideFromEditors()]
    assert hidden == [], monkey.done
    assert panel.isShown(panel.ui.offerFrame) == bool(panel.logic.offeredRuns())
    node = panel.widget._parameterNode.outputSegmentation
    count = sum(bool(info.phrase) for info in segmentsOf(node)) if node is not None else 0
    assert len(panel.rows()) == count, monkey.done


def segmentsOf(node):
    from UniBiomedSlicerLib.SegmentTags import segmentsOf

    return segmentsOf(node)
