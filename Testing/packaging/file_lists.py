# SPDX-License-Identifier: Apache-2.0
"""Writes the lists of shipped files into the CMake files, from what git holds.

``python Testing/packaging/file_lists.py``

Slicer packages what is listed and nothing else. A list kept by hand forgets an icon sooner or later; a test compares
these lists with what git holds.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("UniBiomedSlicer", "UniBiomedSegment", "UniBiomedReport", "UniBiomedSegment/SegmentEditorUniBiomed")
NOT_SHIPPED = ("CMakeLists.txt", "files.cmake")


def shipped(module: str) -> tuple[list[str], list[str]]:
    """Files of a module, relative to its folder: Python scripts, and everything else, the engine included.

    The engine's Python files are resources: they run in another interpreter, so Slicer must not compile them.
    """
    folder = REPOSITORY / module
    inner = [other for other in MODULES if other != module and other.startswith(module + "/")]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", module],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    names = sorted(
        Path(name).relative_to(module).as_posix()
        for name in listed
        if (REPOSITORY / name).is_file() and not any(name.startswith(other + "/") for other in inner)
    )
    names = [name for name in names if Path(name).name not in NOT_SHIPPED and not name.startswith("Testing/")]
    scripts = [name for name in names if name.endswith(".py") and not name.startswith("Engine/")]
    assert folder.is_dir(), folder
    return scripts, [name for name in names if name not in scripts]


def cmake_set(variable: str, names: list[str]) -> str:
    """``set(variable ...)`` with one file a line."""
    return "\n".join([f"set({variable}", *(f"  {name}" for name in names), "  )"])


def rewritten(text: str, variable: str, names: list[str]) -> str:
    """``text`` of a CMake file with the value of ``variable`` replaced; the variable must be set in it once."""
    pattern = re.compile(rf"^set\({variable}\b[^)]*\)", re.MULTILINE)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"set({variable} …) must stand in the file exactly once.")
    return pattern.sub(lambda _: cmake_set(variable, names), text)


def files(module: str) -> dict[Path, str]:
    """Path and wanted text of each CMake file that holds lists of ``module``."""
    scripts, resources = shipped(module)
    path = REPOSITORY / module / "CMakeLists.txt"
    text = rewritten(path.read_text(encoding="utf-8"), "MODULE_PYTHON_SCRIPTS", scripts)
    own = [name for name in resources if not name.startswith("Engine/")]
    wanted = {path: rewritten(text, "MODULE_PYTHON_RESOURCES", own)}
    engine = [name for name in resources if name.startswith("Engine/")]
    if engine:
        header = "# SPDX-License-Identifier: Apache-2.0\n# Written by Testing/packaging/file_lists.py.\n"
        wanted[path.parent / "Engine" / "files.cmake"] = header + cmake_set("ENGINE_FILES", engine) + "\n"
    return wanted


def main() -> None:
    """Bring every list up to date."""
    for module in MODULES:
        for path, text in files(module).items():
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                print("updated", path.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
