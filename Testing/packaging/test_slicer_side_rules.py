# SPDX-License-Identifier: Apache-2.0
"""Rules of code that runs inside Slicer: what it imports, and that nothing in it waits."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# SegmentEditorEffects is Slicer's own package with the base class of editor effects.
ALLOWED = {"numpy", "vtk", "qt", "ctk", "slicer", "SimpleITK", "SegmentEditorEffects"}
OWN = ("UniBiomed", "SegmentEditorUniBiomed")
WAITING = ("waitForStarted", "waitForFinished", "waitForReadyRead", "waitForBytesWritten", "processEvents", "sleep")


def _slicer_side() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "UniBiomed*/*.py"],
        cwd=REPOSITORY, capture_output=True, check=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [
        REPOSITORY / name
        for name in listed
        if "/Engine/" not in name and "/Testing/" not in name and (REPOSITORY / name).exists()
    ]


FILES = _slicer_side()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_imports_at_its_top_only_what_every_slicer_has(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or top in ALLOWED or top.startswith(OWN), (
                f"{path.name} imports {name}"
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_waits_and_no_thread_is_started(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in WAITING, f"{path.name}:{node.lineno} {node.attr}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"threading", "requests", "torch", "socket", "pickle"} & set(names), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_does_nothing_when_it_is_imported(path):
    """At file scope: imports, definitions, constants, and the guards of type checking."""
    allowed = (
        ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.If, ast.Try,
    )  # fmt: skip
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), f"{path.name}:{node.lineno} runs at import"
        else:
            assert isinstance(node, allowed), f"{path.name}:{node.lineno}"


def test_the_rules_look_at_the_modules():
    assert {"UniBiomedSlicer.py", "UniBiomedSegment.py", "UniBiomedReport.py"} <= {path.name for path in FILES}
