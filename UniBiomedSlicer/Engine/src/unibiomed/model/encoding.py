# SPDX-License-Identifier: Apache-2.0
"""Runs the encoders once a picture and remembers what they made, and what the language model read of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import torch
from PIL import Image

from unibiomed.model.cache import FeatureCache, Tensors
from unibiomed.model.generation import KeyValues
from unibiomed.model.grounding import SamFeatures
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.model.preprocessing import sam_pixels, tiles
from unibiomed.model.prompt import Prompt
from unibiomed.model.scene import Scene

# Larger passes gain nothing on a CPU and cost memory; on a GPU they fill it.
_TILES_A_PASS = {"cpu": 5, "cuda": 32, "mps": 8}
_IMAGES_A_PASS = {"cpu": 1, "cuda": 8, "mps": 2}


class Encoder:
    """Visual rows, SAM 2 features and prompt prefixes of pictures, from the cache or computed and put there."""

    def __init__(self, model: UniBiomedModel, cache: FeatureCache, device: torch.device) -> None:
        """``device`` is where the model lies."""
        self._model, self._cache, self._device = model, cache, device

    def visual_rows(self, scenes: Sequence[Scene]) -> list[torch.Tensor]:
        """What the language model sees of each scene, (m, hidden): all tiles of an image, the prompted frames."""
        wanted = {
            ("rows", scene.is_video, key): (scene.pictures[t], not scene.is_video)
            for scene in scenes
            for t, key in enumerate(scene.keys[: scene.n_prompted])
        }
        found = {key: self._get(key) for key in wanted}
        lacking = [key for key, entry in found.items() if entry is None]
        for key, rows in zip(lacking, self._encode_tiles([wanted[key] for key in lacking]), strict=True):
            found[key] = {"rows": rows}
            self._cache.put(key, found[key])
        return [
            torch.cat([found["rows", scene.is_video, key]["rows"] for key in scene.keys[: scene.n_prompted]])
            for scene in scenes
        ]

    def sam_features(self, pictures: Sequence[tuple[str, Image.Image]]) -> list[SamFeatures]:
        """SAM 2 features of pictures with their content keys, one entry each."""
        distinct = dict(pictures)
        found = {key: self._get(("sam", key)) for key in distinct}
        lacking = [key for key, entry in found.items() if entry is None]
        step, size = _IMAGES_A_PASS[self._device.type], self._model.config.sam_image_size
        for start in range(0, len(lacking), step):
            keys = lacking[start : start + step]
            pixels = torch.stack([sam_pixels(distinct[key], size=size) for key in keys])
            features = self._model.image_features(pixels.to(self._device))
            for row, key in enumerate(keys):
                one = features[row] if len(keys) == 1 else _own(features[row])
                found[key] = {"high_res_0": one.high_res_0, "high_res_1": one.high_res_1, "embedding": one.embedding}
                self._cache.put(("sam", key), found[key])
        return [SamFeatures(**found[key]) for key, _ in pictures]

    def known_prefix(self, scene: Scene, prompt: Prompt) -> tuple[int, KeyValues | None]:
        """The longest leading part of a prompt that was read before over this scene, at most all but its last token."""
        entry = self._get(("prefix", *scene.language_key))
        if entry is None:
            return 0, None
        known = entry["signature"].tolist()
        pairs = zip(known, prompt.signature[:-1], strict=False)
        length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if not length:
            return 0, None
        layers = range(sum(name.startswith("key") for name in entry))
        return length, [(entry[f"key{i}"][:, :, :length], entry[f"value{i}"][:, :, :length]) for i in layers]

    def keep_prefix(self, scene: Scene, signature: Sequence[int], key_values: KeyValues) -> None:
        """Remember what was read over a scene: one row of keys and values a layer."""
        entry: Tensors = {"signature": torch.tensor(signature, dtype=torch.long)}
        for i, (key, value) in enumerate(key_values):
            entry[f"key{i}"], entry[f"value{i}"] = key.contiguous(), value.contiguous()
        self._cache.put(("prefix", *scene.language_key), entry)

    def _encode_tiles(self, pictures: Sequence[tuple[Image.Image, bool]]) -> list[torch.Tensor]:
        config = self._model.config
        parts = [tiles(p, tile_size=config.tile_size, max_tiles=config.max_tiles, split=split) for p, split in pictures]
        if not parts:
            return []
        pixels = torch.cat(parts).split(_TILES_A_PASS[self._device.type])
        rows = torch.cat([self._model.encode_tiles(chunk.to(self._device)) for chunk in pixels])
        return [part.flatten(0, 1).clone() for part in rows.split([len(part) for part in parts])]

    def _get(self, key: tuple[object, ...]) -> Tensors | None:
        entry = self._cache.get(key)
        # What comes back from disk lies in the CPU's memory.
        return None if entry is None else {name: tensor.to(self._device) for name, tensor in entry.items()}


def _own(features: SamFeatures) -> SamFeatures:
    """A copy that does not keep the whole batch alive."""
    return SamFeatures(features.high_res_0.clone(), features.high_res_1.clone(), features.embedding.clone())
