# SPDX-License-Identifier: Apache-2.0
"""What git holds, what CMake lists, and what lands in the installed extension are the same files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).parent / "standin"


def _file_lists():
    spec = importlib.util.spec_from_file_location("file_lists", Path(__file__).with_name("file_lists.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lists = _file_lists()


@pytest.mark.parametrize("module", lists.MODULES)
def test_every_file_of_a_module_is_listed_in_its_cmake_file(module):
    for path, wanted in lists.files(module).items():
        assert path.read_text(encoding="utf-8") == wanted, f"{path}: run python Testing/packaging/file_lists.py"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The extension configured and installed by CMake against the stand-in for Slicer's CMake package."""
    cmake = shutil.which("cmake") or str(Path(sys.executable).with_name("cmake"))
    build, target = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("install")
    for command in (
        [cmake, "-S", str(REPOSITORY), "-B", str(build), f"-DSlicer_DIR={STANDIN}", f"-DCMAKE_INSTALL_PREFIX={target}",
         "-DCMAKE_BUILD_TYPE=Release"],
        [cmake, "--build", str(build)],
        [cmake, "--install", str(build)],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return target / "lib" / "Slicer-5.10" / "qt-scripted-modules"


def test_the_installed_tree_holds_exactly_the_shipped_files(installed):
    found = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    wanted: list[str] = []
    for module in lists.MODULES:
        scripts, resources = lists.shipped(module)
        wanted += scripts + resources
    assert sorted(found) == sorted(wanted)


def test_no_module_ships_a_package_name_that_others_could_ship_too(installed):
    for path in installed.iterdir():
        allowed = ("UniBiomed", "SegmentEditorUniBiomed")
        assert path.name in ("Resources", "Engine") or path.name.startswith(allowed), path.name


def test_the_installed_engine_segments_a_picture_with_the_bundled_model(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed / "Engine" / "src"), "OMP_NUM_THREADS": "1"}
    code = (
        "import sys, unibiomed, numpy as np; from pathlib import Path\n"
        "from unibiomed.phantoms import generate\n"
        "from unibiomed.volumes import Volume\n"
        "from unibiomed.tasks import segment\n"
        f"assert Path(unibiomed.__file__).is_relative_to({str(installed)!r}), unibiomed.__file__\n"
        "phantom = generate('dermoscopy', 10_000_001)\n"
        "volume = Volume.from_array(phantom.image[None], modality='dermoscopy')\n"
        "result = segment(unibiomed.load('mini', device='cpu'), volume, [next(iter(phantom.specs.values())).phrase])\n"
        "print(len(result.segments) + len(result.not_found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("1")


@pytest.mark.slow
def test_the_modules_run_from_the_installed_tree(installed):
    """Two of them at once, with the engine's process: whatever is not listed in CMake is not there."""
    environment = {**os.environ, "UNIBIOMED_INSTALLED_MODULES": str(installed), "OMP_NUM_THREADS": "1"}
    wanted = "Testing/slicer/whole/test_first_run_to_reload.py::test_two_modules_at_once_each_get_their_own_result"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", wanted],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=290,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
