# SPDX-License-Identifier: Apache-2.0
"""The recipe's sizes, the adapters, and what a run leaves behind."""

from __future__ import annotations

import copy

import pytest
import torch
from unibiomed.errors import OutputError
from unibiomed.model.checkpoint import load_model, published_shapes, save_model
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.training.lora import LoraOptions, add_adapters, merge_adapters
from unibiomed.training.mini import mini_config
from unibiomed.training.objective import LossWeights, batch_loss
from unibiomed.training.run import RunOptions, run


def test_mini_has_at_most_twelve_million_parameters():
    model = UniBiomedModel.empty(mini_config(2000))
    assert sum(p.numel() for p in model.parameters()) <= 12_000_000


@pytest.mark.parametrize("encoders", [False, True])
def test_merged_adapters_give_the_published_layout_and_the_adapted_answers(tiny_model, examples, collator, encoders):
    batch = collator([examples.picture(5)])
    shapes = published_shapes(tiny_model)
    add_adapters(tiny_model, LoraOptions(rank=4, alpha=8, dropout=0.0, encoders=encoders, encoder_rank=2))
    trainable = [p for p in tiny_model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-2)
    loss, _ = batch_loss(tiny_model, batch, LossWeights())
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        adapted, _ = batch_loss(tiny_model, batch, LossWeights())
        merge_adapters(tiny_model)
        merged, _ = batch_loss(tiny_model, batch, LossWeights())
    assert float(adapted) != pytest.approx(float(loss.detach()), abs=1e-4)
    assert float(merged) == pytest.approx(float(adapted), abs=1e-4)
    assert published_shapes(tiny_model) == shapes


def test_adapters_leave_both_image_encoders_and_the_memory_as_they_are(tiny_model):
    before = copy.deepcopy(tiny_model.state_dict())
    add_adapters(tiny_model, LoraOptions(rank=2, alpha=4))
    frozen = [name for name, p in tiny_model.named_parameters() if not p.requires_grad]
    for part in ("vision_model.", "grounding_encoder.vision_encoder.", "grounding_encoder.memory_attention."):
        assert all(
            name in frozen for name in before if name.startswith(part) and name in dict(tiny_model.named_parameters())
        )


def test_the_encoders_get_adapters_where_that_is_asked_for_and_the_memory_none(tiny_model):
    add_adapters(tiny_model, LoraOptions(rank=2, alpha=4, encoders=True, encoder_rank=2))
    trained = {name for name, p in tiny_model.named_parameters() if p.requires_grad}
    for part in ("vision_model.", "grounding_encoder.vision_encoder.backbone."):
        own = {name for name in trained if name.startswith(part)}
        assert own
        assert all("lora" in name for name in own)
    assert any(name.startswith("grounding_encoder.vision_encoder.neck.") for name in trained)
    assert not any("memory" in name for name in trained)


def test_teaching_the_memory_changes_nothing_for_single_pictures(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tokenizer, tmp_path / "start", dtype=torch.float16)
    options = RunOptions(out=tmp_path / "run", steps=1, start=tmp_path / "start", tune="memory", workers=0)
    before, after = load_model(tmp_path / "start").model.state_dict(), load_model(run(options)).model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("memory" in name or "object_pointer" in name for name in changed)


def test_a_finished_model_is_never_overwritten(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError, match="there already"):
        run(RunOptions(out=tmp_path, steps=1))


def test_a_model_is_fine_tuned_with_lora_from_a_folder_to_a_folder(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tokenizer, tmp_path / "start")
    options = RunOptions(
        out=tmp_path / "run",
        steps=1,
        start=tmp_path / "start",
        batch_size=1,
        workers=0,
        lora=LoraOptions(rank=2, alpha=4),
    )
    result = run(options)
    assert result == tmp_path / "run" / "model"
    tuned = load_model(result)
    assert published_shapes(tuned.model) == published_shapes(tiny_model)
    assert (tmp_path / "run" / "loss.png").is_file()
