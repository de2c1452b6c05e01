# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning on an export: what is told first, what is kept, stopping, going on, and what is never overwritten."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from unibiomed.cli.app import run
from unibiomed.errors import InputError, OutputError
from unibiomed.model.checkpoint import load_model, save_model
from unibiomed.model.manifest import file_sha256
from unibiomed.model.store import ModelStore
from unibiomed.training.averaging import AveragedWeights
from unibiomed.training.event_files import event_writer
from unibiomed.training.exported_data import ExportedExamples
from unibiomed.training.fine_tune import FineTuneOptions, fine_tune
from unibiomed.training.held_out import HeldOut, Look, read_looks
from unibiomed.training.lora import LoraOptions
from unibiomed.training.replay import ReplayedExamples, can_replay


def _split(root: Path, split: str, pictures: int) -> None:
    for name in (split, f"{split}_mask"):
        (root / name).mkdir(parents=True)
    images, annotations = [], []
    for number in range(pictures):
        file = f"case-{number:04d}-0000_CT_abdomen.png"
        picture = np.random.default_rng(number).integers(0, 60, (64, 64), dtype=np.uint8)
        mask = np.zeros((64, 64), bool)
        mask[10:40, 8 + number : 36 + number] = True
        picture[mask] += 150
        Image.fromarray(picture).save(root / split / file)
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / f"{split}_mask" / f"{number}.png")
        images.append({"id": number, "file_name": file, "height": 64, "width": 64})
        sentence = {"raw": "liver in abdomen CT", "sent": "", "sent_id": 0}
        annotations.append({"file_name": file, "mask_file": f"{number}.png", "sentences": [sentence],
                            "patient": f"p{number}"})  # fmt: skip
    (root / f"{split}.json").write_text(json.dumps({"images": images, "annotations": annotations}))


@pytest.fixture
def export(tmp_path) -> Path:
    _split(tmp_path / "set", "train", 3)
    _split(tmp_path / "set", "val", 2)
    return tmp_path / "set"


@pytest.fixture
def start(tiny_model, tokenizer, tmp_path) -> Path:
    folder = tmp_path / "start"
    folder.mkdir()
    save_model(tiny_model, tokenizer, folder, dtype=torch.float32)
    return folder


@pytest.fixture
def options(export, start, tmp_path) -> FineTuneOptions:
    return FineTuneOptions(
        out=tmp_path / "run", start=start, data=export, name="tuned", steps=4, batch_size=2, look_every=2, workers=0,
        lora=LoraOptions(rank=4, alpha=8),
    )  # fmt: skip


def test_a_run_ends_in_a_model_folder_that_says_where_it_comes_from(options, start):
    before = {path.name: file_sha256(path) for path in start.iterdir()}
    told = []
    model = fine_tune(options, needs=lambda n: told.append("needs"), report=lambda r: told.append("step"),
                      looked=lambda look: told.append("look"))  # fmt: skip
    assert told[:2] == ["needs", "look"]
    assert {path.name: file_sha256(path) for path in start.iterdir()} == before
    loaded = load_model(model)
    assert not any("lora" in name for name, _ in loaded.model.named_parameters())
    said = json.loads((model / "unibiomed.json").read_text(encoding="utf-8"))
    assert said["name"] == "tuned"
    assert said["targets"] == [{"name": "liver", "site": "abdomen", "modality": "CT", "kind": "anatomy"}]
    assert said["fine_tuned"]["pictures"] == 3
    assert said["fine_tuned"]["replay"] == 0.0
    assert [look.step for look in read_looks(options.out)] == [0, 2, 4]
    assert (options.out / "curves.png").is_file()
    assert "Not for clinical use" in (model / "README.md").read_text(encoding="utf-8")


def test_a_finished_model_is_never_overwritten(options):
    (options.out / "model").mkdir(parents=True)
    with pytest.raises(OutputError, match="is there already"):
        fine_tune(options)


def test_a_stopped_run_goes_on_where_it_was(options):
    asked = iter([False, False, True])
    assert fine_tune(options, stop=lambda: next(asked)) is None
    assert not (options.out / "model").exists()
    steps = []
    assert fine_tune(options, report=lambda record: steps.append(record["step"])) is not None
    assert steps == [4]
    assert [look.step for look in read_looks(options.out)] == [0, 2, 4]


def test_a_folder_of_another_run_is_refused(options):
    asked = iter([False, True])
    fine_tune(options, stop=lambda: next(asked))
    with pytest.raises(InputError, match="another learning_rate"):
        fine_tune(dataclasses.replace(options, learning_rate=1.0))


def test_without_a_held_out_split_every_step_is_done(options, export):
    (export / "val.json").unlink()
    model = fine_tune(options)
    said = json.loads((model / "unibiomed.json").read_text(encoding="utf-8"))["fine_tuned"]
    assert (said["steps"], said["held_out"]) == (4, None)
    assert "was not measured" in (model / "README.md").read_text(encoding="utf-8")


def test_the_weights_that_were_best_are_the_ones_kept(tiny_model, export, collator, tmp_path):
    losses = iter([0.5, 0.3, 0.4, 0.6])
    average = AveragedWeights(tiny_model, decay=0.0)  # that is, the last weights
    held_out = HeldOut(tiny_model, average, ExportedExamples(export, "val", count=2), collator, tmp_path / "run",
                       start=0, every=1, patience=2, batch_size=2)  # fmt: skip
    held_out._evaluated = lambda step: Look(step, next(losses), 0.0)
    weight = next(tiny_model.parameters())
    stopped = []
    for step in range(4):
        with torch.no_grad():
            weight.fill_(step)
        average.update(step)
        stopped.append(held_out.before_step())
    assert stopped == [False, False, False, True]
    assert held_out.take_best().step == 1
    assert float(weight.detach().flatten()[0]) == 1.0


def test_looks_after_the_checkpoint_of_a_killed_run_are_forgotten(tiny_model, export, collator, tmp_path):
    (tmp_path / "held_out.jsonl").write_text(
        "".join(json.dumps({"step": step, "loss": 1.0 - step, "dice": 0.0}) + "\n" for step in (0, 2, 4))
    )
    examples = ExportedExamples(export, "val", count=2)
    held_out = HeldOut(tiny_model, AveragedWeights(tiny_model), examples, collator, tmp_path, start=2, every=2,
                       patience=2, batch_size=2)  # fmt: skip
    assert [look.step for look in held_out.looks] == [0, 2]


def test_a_look_leaves_the_model_training_and_without_gradients(tiny_model, export, collator, tmp_path):
    tiny_model.train()
    examples = ExportedExamples(export, "val", count=3)
    held_out = HeldOut(tiny_model, AveragedWeights(tiny_model), examples, collator, tmp_path, start=0, every=2,
                       patience=2, batch_size=2)  # fmt: skip
    look = held_out.look(0)
    assert tiny_model.training
    assert all(parameter.grad is None for parameter in tiny_model.parameters())
    assert look.loss > 0
    assert 0 <= look.dice <= 1
    assert held_out.look(0) is look


def test_a_share_of_the_examples_is_drawn_from_the_phantoms(export):
    examples = ReplayedExamples(ExportedExamples(export, "train", count=200), 0.5)
    own = sum(examples["picture", number].image.shape[0] == 64 for number in range(0, 200, 10))
    assert 5 <= own <= 15
    none = ReplayedExamples(ExportedExamples(export, "train", count=9), 0.0)
    assert all(none["picture", number].image.shape[0] == 64 for number in range(9))
    with pytest.raises(InputError, match="share"):
        ReplayedExamples(ExportedExamples(export, "train", count=9), 1.0)


def test_phantoms_are_replayed_where_nilearn_is_not_installed(export, monkeypatch):
    """As in the environment that Slicer makes: without the template brains, and without an error."""
    monkeypatch.setitem(sys.modules, "nilearn", None)
    monkeypatch.setattr("unibiomed.training.replay.find_spec", lambda name: None)
    mixed = ReplayedExamples(ExportedExamples(export, count=60), 0.9)
    assert all(mixed["picture", number].image.ndim == 3 for number in range(60))


@pytest.mark.parametrize("content", ["3", '[{"a": 1}]', "{"])
def test_a_damaged_list_of_reports_is_told_in_a_sentence(export, content):
    (export / "train_parse.json").write_text(content)
    with pytest.raises(InputError, match=r"train_parse\.json"):
        ExportedExamples(export, count=1)


def test_only_a_model_that_learned_from_phantoms_can_replay_them():
    assert can_replay(frozenset({"liver in abdomen CT"}))
    assert not can_replay(frozenset({"liver in abdomen CT", "appendix in abdomen CT"}))
    assert not can_replay(frozenset())


def test_the_command_puts_the_model_into_the_list_and_refuses_a_taken_name(
    options, export, start, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("UNIBIOMED_MODELS", str(tmp_path / "models"))
    arguments = ["train", "--from", str(start), "--data", str(export), "--steps", "2", "--batch-size", "1",
                 "--look-every", "2", "--workers", "0", "--name", "mine"]  # fmt: skip
    assert run([*arguments, "-o", str(tmp_path / "one"), "--progress", "lines"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert lines[0]["needs"]["memory"] > 0
    assert {"step", "loss", "steps"} <= next(line for line in lines if "step" in line).keys()
    assert any("held_out" in line for line in lines)
    assert "mine" in [model.name for model in ModelStore().list()]
    assert run([*arguments, "-o", str(tmp_path / "two")]) == 2
    assert "already has a model" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


def test_the_command_needs_a_model_to_start_from(export, tmp_path, capsys):
    assert run(["train", "--data", str(export), "-o", str(tmp_path / "run")]) == 2
    assert "--from" in capsys.readouterr().err


def test_figures_are_written_for_tensorboard_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with event_writer(tmp_path) as write:
        write(1, {"loss": 2.0})
        write(2, {"loss": 1.0})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 2.0), (2, 1.0)]


def test_without_tensorboard_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("unibiomed.training.event_files.find_spec", lambda name: None)
    with event_writer(tmp_path) as write:
        write(1, {"loss": 2.0})
    assert list(tmp_path.iterdir()) == []
