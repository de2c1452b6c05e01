# SPDX-License-Identifier: Apache-2.0
"""The fixture `host`: the modules' own files on Slicer's real MRML and real Qt, without desktop Slicer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))

from slicerhost import host as stand_in

# Test modules import qt, slicer and UniBiomedSlicerLib at their top, as the modules' own files do.
stand_in.start().useLibrary()


@pytest.fixture
def host():
    """The stand-in with an empty scene and no module. What Slicer would swallow fails the test at its end."""
    started = stand_in.start()
    started.takeProblems()
    started.reset()
    yield started
    started.reset()
    problems = started.takeProblems()
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def shared_dir():
    """The folder of shared reference data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("UNIBIOMED_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared reference data is not here")
    return folder
