# SPDX-License-Identifier: Apache-2.0
"""The folder of a fine-tuned model: weights, what it says of itself, and a model card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from unibiomed.model.checkpoint import save_model
from unibiomed.model.info import DESCRIPTION, ModelInfo
from unibiomed.model.modeling import UniBiomedModel
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.training.exported_data import ExportedExamples
from unibiomed.volumes.atomic import atomic_folder


def save_tuned(
    model: UniBiomedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    name: str,
    info: ModelInfo,
    data: ExportedExamples,
    story: dict[str, Any],
    presence: dict[str, Any] | None = None,
) -> Path:
    """Write ``model`` to the new ``folder``, all or nothing; ``info`` is what it was made of, ``story`` how.

    ``presence``: thresholds that were fitted for it.
    """
    story = {**story, "pictures": data.n_pictures, "phrases": list(data.phrases)}
    description = {
        "name": name,
        "version": info.version,
        "licence": info.licence,
        "notice": info.notice,
        "targets": [asdict(target) for target in info.targets] + _new_targets(info, data.phrases),
        "fine_tuned": story,
    }
    if presence is not None:
        description["presence"] = presence
    elif story["replay"] and info.presence:
        # Replayed examples teach the presence scores as the first training did.
        description["presence"] = dict(info.presence)
    with atomic_folder(folder) as temporary:
        save_model(model, tokenizer, temporary, dtype=torch.float16)
        (temporary / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        (temporary / "README.md").write_text(_card(name, info, story, presence is not None), encoding="utf-8")
    return folder


def _new_targets(info: ModelInfo, phrases: tuple[str, ...]) -> list[dict[str, str]]:
    """Targets of the data set that the model did not list."""
    known = {(target.name, target.site, target.modality.lower()) for target in info.targets}
    found = []
    for phrase in phrases:
        parts = parse_phrase(phrase)
        if parts.site and parts.modality and (parts.target, parts.site, parts.modality.lower()) not in known:
            found.append({"name": parts.target, "site": parts.site, "modality": parts.modality, "kind": "anatomy"})
    return found


def _card(name: str, info: ModelInfo, story: dict[str, Any], fitted: bool) -> str:
    before, after = story["held_out_before"], story["held_out"]
    lines = [
        f"# {name}",
        "",
        f"{info.name} (weights {info.sha256[:12]}), fine-tuned with LoRA on {story['pictures']} exported pictures; "
        "the adapters are merged. Not for clinical use.",
        "",
        f"- phrases: {', '.join(story['phrases'])}",
        f"- {story['steps']} steps of {story['batch_size']} pictures, learning rate {story['learning_rate']:g}; "
        f"weights of step {story['kept_step']} are kept",
        f"- adapters in the language model{' and both image encoders' if story['lora']['encoders'] else ''}; "
        f"pictures shown {'a little differently each time' if story['augmented'] else 'as they are'}",
        f"- share of replayed phantoms: {story['replay']:g}",
    ]
    if before and after:
        lines.append(
            f"- held-out split: loss {before['loss']:.3f} before, {after['loss']:.3f} after; soft Dice of the masks "
            f"{before['dice']:.3f} before, {after['dice']:.3f} after"
        )
    else:
        lines.append("- there was no held-out split: how good it is was not measured")
    if fitted:
        lines.append("- presence thresholds: fitted for these phrases on the exported pictures, held-out ones first")
    elif info.presence:
        kept = "those of the model it comes from" if story["replay"] else "not fitted; the defaults hold"
        lines.append(f"- presence thresholds: {kept}")
    return "\n".join(lines) + "\n"
