# SPDX-License-Identifier: Apache-2.0
"""Every stage trains its own parts, and a later one begins with what the earlier ones learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from unibiomed.errors import CheckpointError
from unibiomed.phantoms import generate
from unibiomed.training import run as run_module
from unibiomed.training.aids import TrainingAids
from unibiomed.training.conversations import Mix, make_example
from unibiomed.training.run import RunOptions, run
from unibiomed.training.stages import STAGES, leave_only
from unibiomed.training.state import take_over


@pytest.fixture
def tiny_mini(monkeypatch, tiny_config, tokenizer):
    """Runs of "Mini" that are of the tiny model."""
    monkeypatch.setattr(run_module, "mini_config", lambda vocabulary: tiny_config)
    monkeypatch.setattr(run_module, "mini_tokenizer", lambda: tokenizer)


def _stage(folder: Path, name: str, *after: Path) -> dict[str, torch.Tensor]:
    run(RunOptions(out=folder, steps=1, stage=name, after=after, batch_size=1, workers=0))
    return load_file(folder / "checkpoint" / "weights.safetensors")


@pytest.mark.usefixtures("tiny_mini")
def test_a_later_stage_begins_with_the_parts_of_the_earlier_ones(tmp_path):
    vision = _stage(tmp_path / "vision", "vision")
    masks = _stage(tmp_path / "masks", "masks")
    words = _stage(tmp_path / "words", "words", tmp_path / "vision", tmp_path / "masks")
    assert not any(name.startswith(("model.vision_model.", "model.grounding_encoder.mask_decoder.")) for name in words)
    model = load_file(tmp_path / "words" / "model" / "model.safetensors")
    tower = vision["model.vision_model.encoder.layer.0.mlp.fc1.weight"]
    assert torch.equal(model["vision_model.encoder.layers.0.mlp.fc1.weight"], tower.half())
    assert any("mask_decoder" in name for name in masks)


@pytest.mark.usefixtures("tiny_mini")
@pytest.mark.parametrize("name", ["reading", "joint"])
def test_every_other_stage_takes_a_step(tmp_path, name):
    assert _stage(tmp_path / name, name)


def test_a_stage_changes_nothing_but_its_parts(tiny_model):
    aids = TrainingAids(64, 48, ("a", "b"))
    modules = {"model": tiny_model, "aids": aids}
    leave_only(modules, STAGES["vision"].trained)
    trained = {name.split(".")[0] for name, p in tiny_model.named_parameters() if p.requires_grad}
    assert trained == {"vision_model", "mlp1"}
    assert not aids.prompts.weight.requires_grad


def test_the_checkpoint_of_another_model_is_not_begun_with(tmp_path, tiny_model):
    folder = tmp_path / "checkpoint"
    with pytest.raises(CheckpointError, match="cannot be read"):
        take_over(folder, {"model": tiny_model})


def test_a_box_is_drawn_around_what_it_is_said_to_be_around():
    phantom = generate("fundus", 1, size=64, abnormal=True)
    mix = Mix(segmentation_turns=0, text_questions=0, region_share=0, direct_prompts=0, box_share=1.0)
    example = make_example(phantom, tuple(phantom.specs.values()) * 2, np.random.default_rng(0), mix)
    assert example.boxed in example.dense
    green = (example.image == (0, 255, 0)).all(-1)
    rows = np.flatnonzero(green.any(1))
    mask = example.dense[example.boxed]
    assert green.any()
    assert mask[rows[0] : rows[-1] + 1].any()


def test_direct_prompts_ask_for_abnormalities_that_are_not_there():
    phantom = generate("CT", 2, size=64, abnormal=False)
    foreign = next(iter(generate("pathology", 0, size=64).specs.values()))
    catalogue = (*phantom.specs.values(), foreign)
    example = make_example(phantom, catalogue, np.random.default_rng(0), Mix())
    absent = {spec.phrase for spec in phantom.specs.values() if spec.kind == "abnormality"}
    assert absent <= set(example.direct)
    assert foreign.phrase in example.direct
