# SPDX-License-Identifier: Apache-2.0
"""Forms that PySide takes and PythonQt does not, looked for in the source of what runs inside Slicer."""

import ast
import enum
from pathlib import Path

import pytest
import qt

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDERS = ("UniBiomedSlicer/UniBiomedSlicerLib", "UniBiomedSegment", "UniBiomedReport")
FILES = [path for folder in FOLDERS for path in sorted((REPOSITORY / folder).rglob("*.py"))]
FILES += sorted((REPOSITORY / "UniBiomedSlicer").glob("*.py"))


def chain(node):
    """["qt", "Qt", "AlignLeft"] for qt.Qt.AlignLeft; [] for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def leaks(function):
    """Scene methods whose result belongs to the caller, in a function that never gives it back."""
    called = {node.func.attr: node.lineno for node in ast.walk(function) if isinstance(node, ast.Call)
              and isinstance(node.func, ast.Attribute)}  # fmt: skip
    if "UnRegister" in called:
        return []
    owed = ("GetNodesByClass", "GetNodesByClassByName", "GetNodesByName", "CreateNodeByClass")
    return [f"{called[name]}: {name} without UnRegister(None) leaks" for name in owed if name in called]


def problems(source):
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            found += leaks(node)
        names = chain(node)
        if len(names) == 4 and names[0] == "qt":
            holder = getattr(getattr(qt, names[1], None), names[2], None)
            if isinstance(holder, enum.Enum) or (isinstance(holder, type) and issubclass(holder, enum.Enum)):
                found.append(f"{node.lineno}: {'.'.join(names)}: an enumerator is qt.Class.Name, a plain int")
        if isinstance(node, ast.Call):
            called = chain(node.func)
            keywords = [keyword.arg for keyword in node.keywords]
            if called[:1] in (["qt"], ["ctk"]) and keywords:
                found.append(f"{node.lineno}: {'.'.join(called)} with keyword arguments {keywords}")
            if called[-1:] == ["value"] and "type" in keywords:
                found.append(f"{node.lineno}: QSettings.value has no argument 'type'")
            if called in (["_"], ["tr"]) and not (
                node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
            ):
                found.append(f"{node.lineno}: only a text as it stands can be translated")
            if called[-1:] == ["processEnvironment"] and node.args and ast.unparse(node.args[0]) == "{}":
                found.append(
                    f"{node.lineno}: an empty QProcessEnvironment means Slicer's own, in which no other Python starts"
                )
            if called[:2] == ["qt", "Signal"] or called[:2] == ["qt", "Slot"]:
                found.append(f"{node.lineno}: qt.Signal and qt.Slot: plain callbacks instead")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_uses_no_form_that_only_pyside_takes(path):
    assert problems(path.read_text(encoding="utf-8")) == []


def test_such_forms_are_seen():
    source = (
        "a = qt.Qt.AlignmentFlag.AlignLeft\nb = qt.Qt.AlignLeft.value\nc = qt.QLabel(text='x')\n"
        "settings.value('k', type=bool)\n_(f'{a}')\nqt.Signal(int)\nprocessEnvironment({})\n"
        "def nodes(scene):\n    return scene.GetNodesByClass('vtkMRMLNode')\n"
        "d = qt.Qt.AlignLeft\n_('text')\n"
    )
    assert sorted(int(text.split(":")[0]) for text in problems(source)) == [1, 2, 3, 4, 5, 6, 7, 9]
