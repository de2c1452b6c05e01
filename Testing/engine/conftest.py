# SPDX-License-Identifier: Apache-2.0
"""What every engine test shares: where the data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Small real data that the repository ships."""
    return REPOSITORY / "Testing" / "data"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The larger shared material beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("UNIBIOMED_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the shared test material is not beside this checkout")
    return folder
