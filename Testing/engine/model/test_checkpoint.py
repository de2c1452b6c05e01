# SPDX-License-Identifier: Apache-2.0
"""Model folders are read strictly, written back unchanged, and refused in one sentence when something is wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from unibiomed.errors import CheckpointError
from unibiomed.model.checkpoint import load_model, published_shapes, save_model
from unibiomed.model.configuration import UniBiomedConfig
from unibiomed.model.loading import find_model, load
from unibiomed.model.manifest import write_manifest
from unibiomed.model.modeling import UniBiomedModel


@pytest.fixture
def folder(golden_model_folder: Path, tmp_path: Path) -> Path:
    """A copy of the golden model to break."""
    target = tmp_path / "model"
    shutil.copytree(golden_model_folder, target)
    return target


def change(folder: Path, edit: Callable[[dict], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder, device="cpu")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_saving_what_was_loaded_gives_every_tensor_back_unchanged(golden_model_folder: Path, tmp_path: Path) -> None:
    source = load_file(golden_model_folder / "model.safetensors")
    mixed = tmp_path / "mixed"
    shutil.copytree(golden_model_folder, mixed)
    # A mixed file, as the published one is likely to be: bfloat16 towers and float32 for the rest.
    wide = {k: v.float() * 1.0001 if k.startswith(("grounding_encoder", "mlp1")) else v for k, v in source.items()}
    save_file(wide, mixed / "model.safetensors")
    for start in (golden_model_folder, mixed):
        loaded = load_model(start)
        save_model(loaded.model, loaded.tokenizer, tmp_path / "again", dtype=loaded.stored)
        before, after = load_file(start / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
        assert before.keys() == after.keys()
        for name, tensor in before.items():
            assert after[name].dtype == tensor.dtype, name
            assert torch.equal(after[name], tensor), name
        assert load_model(tmp_path / "again").stored == loaded.stored


def test_shards_are_written_and_read(golden_model_folder: Path, tmp_path: Path) -> None:
    loaded = load_model(golden_model_folder)
    save_model(loaded.model, loaded.tokenizer, tmp_path / "m", dtype=loaded.stored, max_shard_size=1_000_000)
    shards = sorted(p.name for p in (tmp_path / "m").glob("*.safetensors"))
    assert len(shards) > 3
    assert "model.safetensors" not in shards
    again = load_model(tmp_path / "m")
    for (name, a), (_, b) in zip(loaded.model.state_dict().items(), again.model.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    save_model(loaded.model, loaded.tokenizer, tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").glob("model*")) == ["model.safetensors"]
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / "gone")
    (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    assert "../x.safetensors" in refusal(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "x.safetensors"}}))
    assert "lacks the shards x.safetensors" in refusal(tmp_path / "m")


def test_names_and_shapes_at_full_size_equal_the_published_list(shared_dir: Path) -> None:
    config = UniBiomedConfig.from_sizes(vocab_size=151_679, tile_size=448, max_tiles=12, sam_image_size=1024)
    with torch.device("meta"):
        model = UniBiomedModel.empty(config)
    rows = (shared_dir / "reference" / "model_key_map.tsv").read_text().splitlines()[1:]
    published = {row.split("\t")[0]: tuple(int(n) for n in row.split("\t")[1].split("x")) for row in rows}
    assert len(published) == 1541
    assert published_shapes(model) == published
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(1_163.67e6, rel=1e-4)


def test_settings_that_no_tolerance_would_show_have_the_published_values(golden_model_folder: Path) -> None:
    model = load_model(golden_model_folder).model
    sam = model.grounding_encoder
    eps = lambda part: {m.eps for m in part.modules() if isinstance(m, nn.LayerNorm)}  # noqa: E731
    assert eps(model.mlp1) == {1e-5}
    assert eps(sam.mask_decoder.transformer) == {1e-5}
    assert eps(sam.memory_attention) == {1e-5}
    assert eps(model.vision_model) == {1e-6}
    assert eps(sam.vision_encoder.backbone) == {1e-6}
    assert eps(sam.memory_encoder) == {1e-6}
    assert eps(sam.mask_decoder.upscale_layer_norm) == {1e-6}
    assert model.language_model.config.rms_norm_eps == 1e-6
    assert model.language_model.config.rope_parameters["rope_theta"] == 1e6
    assert not model.language_model.config.tie_word_embeddings
    assert isinstance(model.vision_model.layernorm, nn.Identity)
    assert isinstance(model.mlp1[2], nn.GELU)
    assert model.mlp1[2].approximate == "none"
    assert model.vision_model.config.hidden_act == "gelu"
    attention = sam.memory_attention
    assert attention.rotary_emb.inv_freq.numel() == sam.config.memory_attention_hidden_size // 4
    assert torch.isfinite(attention.rotary_emb.inv_freq).all()
    implementations = {
        m.config._attn_implementation
        for m in model.modules()
        if hasattr(getattr(m, "config", None), "_attn_implementation")
    }
    assert implementations == {"sdpa"}


def test_computed_tables_stay_in_float32_in_half_precision(golden_model_folder: Path) -> None:
    exact, half = load_model(golden_model_folder).model, load_model(golden_model_folder, dtype=torch.bfloat16).model
    assert half.dtype == torch.bfloat16
    for part in ("language_model.model.rotary_emb", "grounding_encoder.memory_attention.rotary_emb"):
        assert half.get_submodule(part).inv_freq.dtype == torch.float32
        assert torch.equal(half.get_submodule(part).inv_freq, exact.get_submodule(part).inv_freq)
    assert half.grounding_encoder.shared_image_embedding.positional_embedding.dtype == torch.float32


def test_rope_scaling_of_the_config_is_honoured(golden_model_folder: Path) -> None:
    values = json.loads((golden_model_folder / "config.json").read_text())
    values["llm_config"]["rope_scaling"] = {"type": "dynamic", "factor": 2.0}
    config = UniBiomedConfig.from_dict(values)
    assert config.language.rope_parameters["rope_type"] == "dynamic"
    assert config.language.rope_parameters["factor"] == 2.0
    assert config.to_dict() == values


def test_a_missing_an_unknown_and_a_misshaped_tensor_are_all_named(folder: Path) -> None:
    def edit(tensors: dict) -> None:
        del tensors["mlp1.1.weight"], tensors["vision_model.encoder.layers.0.attn.qkv.bias"]
        tensors["extra.weight"] = torch.zeros(2)
        tensors["language_model.model.norm.weight"] = torch.zeros(7)

    change(folder, edit)
    sentence = refusal(folder)
    assert "missing: " in sentence
    assert "mlp1.1.weight" in sentence
    assert "vision_model.encoder.layers.0.attn.qkv.bias" in sentence
    assert "unknown: extra.weight" in sentence
    assert "language_model.model.norm.weight is (7,) and not (96,)" in sentence


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "cannot be read as safetensors" in refusal(folder)
    path.write_bytes(b"")
    assert "cannot be read as safetensors" in refusal(folder)


def test_pickle_is_never_read(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(pickle.dumps({"a": 1}))
    assert "pickle" in refusal(folder)
    weights.write_bytes(content)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert "pytorch_model.bin" in refusal(folder)
    weights.unlink()
    assert "pickle" in refusal(folder)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c.pop("llm_config"), "'llm_config' is missing"),
        (lambda c: c.pop("vision_config"), "'vision_config' is missing"),
        (lambda c: c["llm_config"].update(hidden_size="wide"), "cannot be read"),
        (lambda c: c["llm_config"].update(tie_word_embeddings=True), "tie_word_embeddings"),
        (lambda c: c["vision_config"].update(image_size=224), "image_size is 224"),
        (lambda c: c["sam2_config"].update(mem_dim=32), "mem_dim"),
        (lambda c: c["sam2_config"].update(colour="red"), "colour"),
        (lambda c: c["sam2_config"].update(global_att_blocks=[3]), "global_att_blocks"),
        (lambda c: c.update(ps_version="v1"), "ps_version"),
        (lambda c: c["llm_config"].update(hidden_size=80), "do not fit"),
        (lambda c: c["llm_config"].update(vocab_size=100), "vocab_size"),
        (lambda c: c["vision_config"].update(qk_normalization=True), "qk_normalization"),
    ],
)
def test_a_wrong_configuration_is_refused_with_the_reason(edit: Callable, words: str, folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    edit(values)
    (folder / "config.json").write_text(json.dumps(values))
    assert words in refusal(folder)


def test_missing_and_broken_files_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").write_text("{")
    assert "not valid JSON" in refusal(folder)
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder)
    with pytest.raises(CheckpointError, match="There is no model"):
        load(tmp_path / "nowhere", device="cpu")


def test_a_folder_without_tokenizer_or_special_tokens_is_refused(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"):
        (folder / name).unlink()
    assert "tokenizer" in refusal(folder)


def test_recorded_hashes_are_checked_at_load(folder: Path) -> None:
    record = write_manifest(folder, name="Tiny", source="here", revision="r1", licence="Apache-2.0")
    info = load(folder, device="cpu").info
    assert info.sha256 == record.files["model.safetensors"].sha256
    assert info.revision == "r1"
    with (folder / "merges.txt").open("a") as stream:
        stream.write("\n")
    assert "merges.txt" in refusal(folder)


def test_a_description_of_the_model_is_read(folder: Path) -> None:
    assert load(folder, device="cpu").info.targets == ()
    description = {
        "name": "Tiny",
        "version": "1",
        "licence": "Apache-2.0",
        "notice": "not for patients",
        "targets": [{"name": "liver", "site": "abdomen", "modality": "CT", "kind": "anatomy"}],
        "presence": {"object_score": 0.0},
    }
    (folder / "unibiomed.json").write_text(json.dumps(description))
    info = load(folder, device="cpu").info
    assert (info.name, info.targets[0].name, info.presence["object_score"]) == ("Tiny", "liver", 0.0)
    (folder / "unibiomed.json").write_text(json.dumps({"targets": [{"name": "liver"}]}))
    assert "unibiomed.json" in refusal(folder)


def test_a_small_model_is_built_from_sizes_trained_and_saved(golden_model_folder: Path, tmp_path: Path) -> None:
    tokenizer = load_model(golden_model_folder).tokenizer
    config = UniBiomedConfig.from_sizes(
        vocab_size=len(tokenizer),
        tile_size=56,
        sam_image_size=64,
        vision={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
        language={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 64,
            "max_position_embeddings": 512,
        },
        sam2={
            "embed_dim": 16,
            "num_heads": 1,
            "stages": [1, 1, 2, 1],
            "global_att_blocks": [3],
            "d_model": 64,
            "mem_layers": 1,
            "mem_ffn": 64,
            "sam_mlp_dim": 64,
            "iou_hidden": 64,
        },
    )
    model = UniBiomedModel(config)
    model.image_context_id = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    features = model.image_features(torch.randn(2, 3, 64, 64))
    rows = model.encode_tiles(torch.randn(2, 3, 56, 56))
    assert rows.shape == (2, config.tokens_per_tile, 32)
    ids = torch.full((2, 10), 7)
    ids[:, 2 : 2 + config.tokens_per_tile] = model.image_context_id
    hidden = model.language_model.model(inputs_embeds=model.embed_prompt(ids, rows.flatten(0, 1))).last_hidden_state
    prompts = model.seg_embedding(hidden[[0, 0, 1], [7, 8, 9]])
    output = model.decode_masks(features, prompts, torch.tensor([0, 0, 1]))
    assert output.low_res.shape == (3, 3, 16, 16)
    (output.low_res.square().mean() + output.object_score.sum() + output.iou.sum()).backward()
    for part in (model.vision_model, model.mlp1, model.language_model.model, model.text_hidden_fcs):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert model.grounding_encoder.vision_encoder.backbone.patch_embed.projection.weight.grad is not None
    save_model(model, tokenizer, tmp_path / "small", dtype=torch.float16)
    small = load(tmp_path / "small", device="cpu", max_new_tokens=12)
    assert small.predict(torch.zeros(40, 50, 3, dtype=torch.uint8).numpy(), "<image>hello").masks.shape[1:] == (
        1,
        40,
        50,
    )
    clip = [torch.full((40, 50, 3), 20 * t, dtype=torch.uint8).numpy() for t in range(7)]
    assert small.predict_video(clip, "<image>hello").masks.shape[1:] == (7, 40, 50)
    with pytest.raises(ValueError, match="visual rows"):
        model.embed_prompt(ids, rows[0])


def test_the_bundled_model_is_found_and_loads() -> None:
    folder = find_model("mini")
    model = load("mini", device="cpu")
    assert model.info.folder == folder
    assert sum(p.numel() for p in model.model.parameters()) <= 12_500_000


def test_a_hub_id_that_cannot_be_fetched_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from unibiomed.model import loading

    def refuse(*args: object, **kwargs: object) -> str:
        raise loading.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(loading, "snapshot_download", refuse)
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        find_model("Org/Name")


def test_a_hub_id_in_the_local_cache_is_loaded_without_the_network(
    monkeypatch: pytest.MonkeyPatch, golden_model_folder: Path
) -> None:
    from unibiomed.model import loading

    asked: dict[str, object] = {}

    def local(model: str, **kwargs: object) -> str:
        asked.update(kwargs, model=model)
        return str(golden_model_folder)

    monkeypatch.setattr(loading, "snapshot_download", local)
    assert load("Org/Name", device="cpu", revision="abc").info.revision == "abc"
    assert asked["local_files_only"] is True
    assert asked["revision"] == "abc"
    assert not any("bin" in pattern or "py" in pattern for pattern in asked["allow_patterns"])
