# SPDX-License-Identifier: Apache-2.0
"""The loop learns, stops, goes on as if it had not stopped, and leaves checkpoints that can be trusted."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json

import pytest
import torch
from unibiomed.errors import CheckpointError
from unibiomed.training.averaging import AveragedWeights
from unibiomed.training.loop import LoopOptions, train
from unibiomed.training.objective import LossWeights, batch_loss, video_loss
from unibiomed.training.schedule import Schedule
from unibiomed.training.state import load_state

OPTIONS = LoopOptions(steps=4, batch_size=2, warmup_steps=1, decay_steps=2, workers=0, log_every=1, save_every=1)


def _weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_loss_of_one_batch_falls_when_it_is_taught_again_and_again(tiny_model, examples, collator):
    batch = collator([examples.picture(0), examples.picture(1)])
    optimizer = torch.optim.AdamW(tiny_model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss, _ = batch_loss(tiny_model, batch, LossWeights())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


@pytest.fixture
def one_thread():
    """Sums of several threads differ in the last bit, which Adam's first steps make as large as a step."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("muon", [False, True])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tiny_model, examples, collator, tmp_path, muon):
    other, options = copy.deepcopy(tiny_model), dataclasses.replace(OPTIONS, muon=muon)
    assert train(tiny_model, examples, collator, options, tmp_path / "whole") == 4
    calls = iter([False, False, True])
    assert train(other, examples, collator, options, tmp_path / "parts", stop=lambda: next(calls)) == 2
    assert train(other, examples, collator, options, tmp_path / "parts") == 4
    assert torch.allclose(_weights(tiny_model), _weights(other), atol=1e-6)


@pytest.mark.usefixtures("one_thread")
def test_the_average_of_the_weights_goes_on_with_a_run_that_was_stopped(tiny_model, examples, collator, tmp_path):
    other = copy.deepcopy(tiny_model)
    whole = AveragedWeights(tiny_model)
    train(tiny_model, examples, collator, OPTIONS, tmp_path / "whole", average=whole)
    calls = iter([False, False, True])
    train(other, examples, collator, OPTIONS, tmp_path / "parts", average=AveragedWeights(other),
          stop=lambda: next(calls))  # fmt: skip
    resumed = AveragedWeights(other)
    train(other, examples, collator, OPTIONS, tmp_path / "parts", average=resumed)
    last = _weights(tiny_model)
    whole.put()
    resumed.put()
    assert torch.allclose(_weights(tiny_model), _weights(other), atol=1e-6)
    assert not torch.equal(_weights(tiny_model), last)


def test_the_average_is_used_for_a_while_and_the_weights_come_back(tiny_model):
    before = _weights(tiny_model).clone()
    average = AveragedWeights(tiny_model, decay=0.5)
    with torch.no_grad():
        for parameter in tiny_model.parameters():
            parameter.add_(1.0)
    average.update(100)
    with average.used():
        assert torch.allclose(_weights(tiny_model), before + 0.5, atol=1e-5)
    assert torch.allclose(_weights(tiny_model), before + 1.0, atol=1e-5)


def test_a_run_logs_every_part_of_the_loss(tiny_model, examples, collator, tmp_path):
    train(tiny_model, examples, collator, dataclasses.replace(OPTIONS, steps=1), tmp_path)
    record = json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert {"step", "loss", "language", "mask_cross_entropy", "dice", "presence", "iou"} <= record.keys()


def test_a_stack_teaches_the_memory(tiny_model, examples, collator):
    loss, parts = video_loss(tiny_model, collator([examples["stack", 0]]), LossWeights())
    loss.backward()
    memory = tiny_model.grounding_encoder.memory_attention.parameters()
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in memory)
    assert "video_dice" in parts


def test_a_checkpoint_of_another_model_is_refused_in_words(tiny_model, examples, collator, tmp_path):
    train(tiny_model, examples, collator, dataclasses.replace(OPTIONS, steps=1), tmp_path)
    stranger = torch.nn.Linear(3, 3)
    with pytest.raises(CheckpointError, match="of another model"):
        load_state(tmp_path / "checkpoint", {"model": stranger}, [torch.optim.AdamW(stranger.parameters())])


def test_a_damaged_checkpoint_is_refused_in_words(tiny_model, examples, collator, tmp_path):
    train(tiny_model, examples, collator, dataclasses.replace(OPTIONS, steps=1), tmp_path)
    weights = tmp_path / "checkpoint" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(tmp_path / "checkpoint", {"model": tiny_model}, [torch.optim.AdamW(tiny_model.parameters())])


def test_the_learning_rate_warms_up_stays_and_decays_to_zero():
    schedule = Schedule(steps=100, warmup_steps=10, decay_steps=20)
    factors = [schedule.factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert set(factors[9:80]) == {1.0}
    assert all(a > b for a, b in itertools.pairwise(factors[80:]))
    assert factors[-1] == 0.0
