# SPDX-License-Identifier: Apache-2.0
"""Runs inside desktop Slicer: the modules load, the engine starts, and a small phantom is segmented and read.

    Slicer --no-splash --additional-module-paths … --python-script Testing/desktop/segment_sample.py

``UNIBIOMED_TEST_INTERPRETER`` names a Python that has the engine. Slicer's exit code is that of the check.
"""

import os
import traceback

import numpy as np
import qt
import slicer

TIMEOUT_MS = 300_000


def phantom():
    """A dark square with a bright disc: not an organ, but the way there and back is the same."""
    voxels = np.full((5, 96, 96), -800, dtype=np.int16)
    j, i = np.mgrid[:96, :96]
    voxels[:, (j - 48) ** 2 + (i - 40) ** 2 < 30**2] = 60
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Phantom")
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetSpacing(3.0, 3.0, 5.0)
    return node


class Check:
    """Starts a job and ends Slicer when it has ended."""

    def __init__(self):
        from UniBiomedSlicerLib.EngineService import engineService
        from UniBiomedSlicerLib.Settings import settings

        settings().interpreter = os.environ["UNIBIOMED_TEST_INTERPRETER"]
        for name in ("UniBiomedSlicer", "UniBiomedSegment", "UniBiomedReport"):
            slicer.util.selectModule(name)
            print("opened", name)
        self.service = engineService()
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.connect("timeout()", self.onTimeout)
        self.timer.start(TIMEOUT_MS)
        parameters = {"targets": ["liver"], "modality": "CT", "site": "abdomen"}
        self.job = self.service.submit("segment", phantom(), parameters, modality="CT")
        self.job.finished.connect(self.onFinished)

    def onFinished(self, job):
        print("job", job.state, job.message)
        self.leave(slicer.util.EXIT_SUCCESS if job.state == "done" else slicer.util.EXIT_FAILURE)

    def onTimeout(self):
        print("no result in time; the engine says:", self.service.stateText)
        self.leave(slicer.util.EXIT_FAILURE)

    def leave(self, code):
        self.timer.stop()
        self.service.cleanup()
        slicer.util.exit(code)


def main():
    try:
        slicer.modules.UniBiomedDesktopCheck = Check()
    except (RuntimeError, ImportError, AttributeError, KeyError, ValueError):
        traceback.print_exc()
        slicer.util.exit(slicer.util.EXIT_FAILURE)


main()
