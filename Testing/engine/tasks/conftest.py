# SPDX-License-Identifier: Apache-2.0
"""A volume whose grey values are its truth, and the model that reads them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from unibiomed.volumes import Volume

SHAPE = (12, 40, 48)


def _load_fakes() -> ModuleType:
    name = "unibiomed_task_fakes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("fakes.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """The module ``fakes.py`` beside this file."""
    return _load_fakes()


@pytest.fixture
def model(fakes):
    """A model that answers from the picture's grey values."""
    return fakes.FakeModel()


def torso_array() -> np.ndarray:
    """Background 20, liver 100 on slices 2 to 9, spleen 60 on 4 to 7, two tumours 180 in the liver: 3 to 5 and 8."""
    array = np.full(SHAPE, 20, dtype=np.uint8)
    array[2:10, 8:30, 6:26] = 100
    array[4:8, 10:20, 34:42] = 60
    array[3:6, 12:17, 10:15] = 180
    array[8, 20:25, 18:23] = 180
    return array


@pytest.fixture(scope="session")
def volume() -> Volume:
    """The torso with 2 x 2 x 3 mm voxels, in the patient."""
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    return Volume.from_array(torso_array(), affine, modality="CT")


@pytest.fixture(scope="session")
def healthy() -> Volume:
    """The same without tumours."""
    array = torso_array()
    array[array == 180] = 100
    return Volume.from_array(array, np.diag([-2.0, -2.0, 3.0, 1.0]), modality="CT")


@pytest.fixture(scope="session")
def truth() -> dict[str, np.ndarray]:
    """Target name to bool ``[k, j, i]``."""
    array = torso_array()
    return {"liver": (array == 100) | (array == 180), "spleen": array == 60, "liver tumor": array == 180}
