# SPDX-License-Identifier: Apache-2.0
"""What both benchmarks share: figures, timing, forced answers, model sizes."""

from __future__ import annotations

import json
import platform
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from unibiomed.model.configuration import UniBiomedConfig

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "Testing" / "data" / "golden"
# Eleven tokens, as the published answer has with the published tokenizer.
ANSWER = "Sure, it is the [SEG].<|end|>"
QUESTION = "<image>Please segment liver in abdomen CT."
TARGETS = ("liver", "spleen", "left kidney", "right kidney", "pancreas")


@dataclass
class Figures:
    """Named numbers, printed as they come and saved as JSON."""

    values: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: str) -> None:
        """Print ``name = value unit`` and keep it."""
        print(f"{name} = {value:.4g} {unit}", flush=True)
        self.values[name] = {"value": value, "unit": unit}

    def save(self, path: Path) -> None:
        """Write all figures with the machine they were measured on."""
        machine = {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine, "figures": self.values}, indent=2) + "\n", encoding="utf-8")


def seconds(action: Callable[[], object], *, repeat: int = 1) -> float:
    """Median wall-clock seconds of an action."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def peak_gigabytes() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def picture(seed: int, side: int = 512) -> np.ndarray:
    """A smooth random RGB picture."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 3, 16, 16), dtype=np.float32))
    fine = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (fine[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)


@contextmanager
def forced_answer(head: nn.Linear, token_ids: Sequence[int]) -> Iterator[None]:
    """Make random weights answer ``token_ids``, at the full cost of the head.

    The head's rows are asked for in the order of the answer, alone or many at once, so a running count says which
    token each row has to predict. A prompt starts where the one before ended.
    """
    asked = 0

    def force(module: nn.Module, inputs: tuple[torch.Tensor, ...], logits: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        flat = logits.reshape(-1, logits.shape[-1]).clone()
        wanted = [token_ids[(asked + row) % len(token_ids)] for row in range(len(flat))]
        asked += len(flat)
        flat[range(len(flat)), wanted] += 1e4
        return flat.reshape(logits.shape)

    handle = head.register_forward_hook(force)
    try:
        yield
    finally:
        handle.remove()


def published_config() -> UniBiomedConfig:
    """The sizes of the published model (specification §1)."""
    return UniBiomedConfig.from_sizes(vocab_size=151_679, tile_size=448, max_tiles=12, sam_image_size=1024)


def tiny_config() -> UniBiomedConfig:
    """A model of the same shape that runs in seconds, to try the benchmark itself."""
    return UniBiomedConfig.from_sizes(
        vocab_size=640,
        tile_size=112,
        max_tiles=12,
        sam_image_size=128,
        vision={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
        language={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 64,
        },
        sam2={
            "embed_dim": 16,
            "num_heads": 1,
            "stages": [1, 2, 3, 1],
            "global_att_blocks": [5],
            "d_model": 64,
            "mem_layers": 1,
            "mem_ffn": 64,
            "sam_mlp_dim": 64,
            "iou_hidden": 64,
        },
    )
