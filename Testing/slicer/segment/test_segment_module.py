# SPDX-License-Identifier: Apache-2.0
"""The module as Slicer lists it, its own self-test, and what its files may import."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import slicer

FOLDER = Path(__file__).resolve().parents[3] / "UniBiomedSegment"
FILES = [FOLDER / "UniBiomedSegment.py", *sorted((FOLDER / "UniBiomedSegmentLib").glob("*.py"))]
ALLOWED = {"numpy", "vtk", "qt", "ctk", "slicer", "UniBiomedSegmentLib", "UniBiomedSlicerLib"}
BLOCKING = ("processEvents", "waitFor", "time.sleep", "threading", "subprocess", "delayDisplay")


def test_the_module_says_what_it_is_and_what_it_is_not_for(host, fake):
    host.loadModule("UniBiomedSegment")
    module = slicer.modules.unibiomedsegment
    assert module.title == "UniBiomed Segment"
    assert module.categories == ["Segmentation"]
    assert "not for clinical use" in module.helpText


def test_the_self_test_of_desktop_slicer_passes(host, fake):
    import UniBiomedSegment

    UniBiomedSegment.UniBiomedSegmentTest().runTest()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_import_what_slicer_has_and_nothing_that_waits(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported <= ALLOWED | set(sys.stdlib_module_names)
    assert not [word for word in BLOCKING if word in text]
    assert len(text.splitlines()) < 300
