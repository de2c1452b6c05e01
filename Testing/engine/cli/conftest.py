# SPDX-License-Identifier: Apache-2.0
"""The command line in this process with a model that reads grey values, and files for it."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk

SHAPE = (12, 40, 48)


def _load_driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unibiomed_cli_driver", Path(__file__).with_name("driver.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def driver() -> ModuleType:
    return _load_driver()


@dataclass
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The only line on stderr that is an error; fails when there is a traceback or more than one."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("unibiomed: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("unibiomed: ")


@pytest.fixture
def cli(capfd, monkeypatch):
    """Run a command in this process with whatever model is installed."""
    from unibiomed.cli.app import run

    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture
def model(monkeypatch, driver):
    """The grey value model in the place of the bundled one."""
    import unibiomed.model
    import unibiomed.model.store

    made = driver.make_model()
    # Not setattr: it would look the old one up, which imports torch.
    monkeypatch.setitem(vars(unibiomed.model), "load", lambda *args, **options: made)
    monkeypatch.setattr(unibiomed.model.store, "resolve", Path)
    return made


def torso_array() -> np.ndarray:
    """Background 20, liver 100 on slices 2 to 9, spleen 60 on 4 to 7, a tumour 180 in the liver on 3 to 5."""
    array = np.full(SHAPE, 20, dtype=np.uint8)
    array[2:10, 8:30, 6:26] = 100
    array[4:8, 10:20, 34:42] = 60
    array[3:6, 12:17, 10:15] = 180
    return array


def write(array: np.ndarray, path: Path) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((2.0, 2.0, 3.0)[: image.GetDimension()])
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def torso(tmp_path) -> Path:
    """A small volume file of CT-like grey values."""
    return write(torso_array(), tmp_path / "torso.nii.gz")


@pytest.fixture
def truth() -> dict[str, np.ndarray]:
    array = torso_array()
    return {"liver": (array == 100), "spleen": array == 60, "liver tumor": array == 180}
