# SPDX-License-Identifier: Apache-2.0
"""The golden cases: what the released code answered, read back for comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from unibiomed.model.api import UniBiomed
from unibiomed.model.loading import load
from unibiomed.model.prediction import Prediction


@dataclass(frozen=True)
class GoldenCase:
    """One request and what the released code made of it."""

    folder: Path

    @cached_property
    def request(self) -> dict[str, Any]:
        return json.loads((self.folder / "request.json").read_text())

    @cached_property
    def expected(self) -> dict[str, Any]:
        return json.loads((self.folder / "expected.json").read_text())

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        path = self.folder / f"{name}.npz"
        return dict(np.load(path)) if path.is_file() else {}

    @cached_property
    def pictures(self) -> list[Image.Image]:
        names = self.request["video"] or ([self.request["image"]] if self.request["image"] else [])
        return [Image.open(self.folder / name).convert("RGB") for name in names]

    @property
    def regions(self) -> np.ndarray | None:
        name = self.request["mask_prompts"]
        return np.load(self.folder / name)["masks"] if name else None

    def predict(self, model: UniBiomed, **options: object) -> Prediction:
        """Send the request as it stands."""
        text, history = self.request["text"], self.request["past_text"]
        if self.request["video"]:
            return model.predict_video(self.pictures, text, history=history, **options)
        image = self.pictures[0] if self.pictures else None
        return model.predict(image, text, history=history, regions=self.regions, **options)

    def mask(self, segment: int) -> np.ndarray:
        """Expected masks of one segment, (frames, H, W) bool."""
        shape = self.expected["masks"][segment]["shape"]
        packed = self.arrays("masks")[f"seg{segment}_mask_packed"]
        return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool)


@pytest.fixture(scope="session")
def golden_folder(data_dir: Path) -> Path:
    """The golden model and the small cases in the repository."""
    return data_dir / "golden"


@pytest.fixture(scope="session")
def golden_case(data_dir: Path, request: pytest.FixtureRequest) -> Callable[[str], GoldenCase]:
    """A golden case by name: a shipped one from the repository, any other from the shared material."""

    def find(name: str) -> GoldenCase:
        bundled = data_dir / "golden" / name
        if bundled.is_dir():
            return GoldenCase(bundled)
        return GoldenCase(request.getfixturevalue("shared_dir") / "golden" / name)

    return find


@pytest.fixture(scope="session")
def golden_model_folder(golden_folder: Path) -> Path:
    return golden_folder / "model"


@pytest.fixture
def golden_model(golden_model_folder: Path) -> UniBiomed:
    """The golden model, fresh, so that no test profits from another's cache."""
    return load(golden_model_folder, device="cpu")
