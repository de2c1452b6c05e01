# SPDX-License-Identifier: Apache-2.0
"""The model store with local folders and a hub that copies from a folder."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from unibiomed.errors import CheckpointError, InputError, OutputError
from unibiomed.model.hub import RemoteFile, RemoteModel
from unibiomed.model.manifest import MANIFEST_NAME, read_manifest, update_record, verify_folder
from unibiomed.model.store import ModelStore, resolve


def make_model(folder: Path, value: float = 1.0) -> Path:
    folder.mkdir(parents=True)
    save_file({"weight": np.full((64, 64), value, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    return folder


class FolderHub:
    """A hub with one repository, read from a folder; can break off after some files."""

    def __init__(self, folder: Path, revision: str = "a" * 40) -> None:
        self.folder, self.revision = folder, revision
        self.break_after: int | None = None
        self.fetched: list[str] = []

    def describe(self, repo_id: str, revision: str | None) -> RemoteModel:
        files = tuple(
            RemoteFile(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in sorted(self.folder.iterdir())
        )
        return RemoteModel(repo_id, revision or self.revision, "apache-2.0", files)

    def fetch(self, model: RemoteModel, folder: Path, progress) -> None:
        done = 0
        for file in model.files:
            if not (folder / file.name).exists():
                if self.break_after is not None and len(self.fetched) >= self.break_after:
                    raise KeyboardInterrupt
                shutil.copyfile(self.folder / file.name, folder / file.name)
                self.fetched.append(file.name)
            done += file.size
            if progress is not None:
                progress(done, model.size)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_model(tmp_path / "source")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def visible(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if not path.name.startswith(".")) if root.is_dir() else []


def test_a_downloaded_model_is_listed_with_licence_revision_and_the_sha256_of_every_file(source, root):
    store = ModelStore(root, FolderHub(source))
    asked = []
    seen = []
    model = store.download(
        "Org/Name", accept_licence=lambda remote: not asked.append(remote.licence), progress=lambda *x: seen.append(x)
    )
    assert asked == ["apache-2.0"]
    assert seen[-1][0] == seen[-1][1] > 16384
    assert [(entry.name, entry.revision, entry.licence) for entry in store.list() if not entry.bundled] == [
        ("Org/Name", "a" * 40, "apache-2.0")
    ]
    record = json.loads((model.folder / MANIFEST_NAME).read_text())["files"]
    assert set(record) == {"model.safetensors", "config.json", "tokenizer.json", "README.md"}
    for name, entry in record.items():
        assert entry["sha256"] == hashlib.sha256((source / name).read_bytes()).hexdigest()
    assert store.path("Org/Name") == model.folder == store.verify("Org/Name").folder


def test_nothing_is_fetched_when_the_licence_is_not_accepted(source, root):
    hub = FolderHub(source)
    with pytest.raises(InputError, match="not accepted"):
        ModelStore(root, hub).download("Org/Name", accept_licence=lambda remote: False)
    assert hub.fetched == []
    assert visible(root) == []


def test_an_interrupted_download_leaves_no_model_and_goes_on_where_it_stopped(source, root):
    hub = FolderHub(source)
    hub.break_after = 2
    store = ModelStore(root, hub)
    with pytest.raises(KeyboardInterrupt):
        store.download("Org/Name", accept_licence=lambda remote: True)
    assert visible(root) == []
    with pytest.raises(CheckpointError, match="models download Org/Name"):
        store.path("Org/Name")
    hub.break_after = None
    store.download("Org/Name", accept_licence=lambda remote: True)
    assert sorted(hub.fetched) == sorted(path.name for path in source.iterdir())
    assert len(hub.fetched) == 4


def test_a_download_that_is_already_there_in_this_revision_fetches_nothing_and_asks_nothing(source, root):
    store = ModelStore(root, FolderHub(source))
    store.download("Org/Name", accept_licence=lambda remote: True)
    store.hub = hub = FolderHub(source)
    store.download("Org/Name", accept_licence=lambda remote: pytest.fail("asked again"))
    assert hub.fetched == []


def test_a_newer_revision_replaces_the_stored_one_only_when_it_is_complete(source, root, tmp_path):
    store = ModelStore(root, FolderHub(source))
    store.download("Org/Name", accept_licence=lambda remote: True)
    newer = FolderHub(make_model(tmp_path / "newer", 2.0), "b" * 40)
    newer.break_after = 1
    store.hub = newer
    with pytest.raises(KeyboardInterrupt):
        store.download("Org/Name", accept_licence=lambda remote: True)
    assert store.verify("Org/Name").revision == "a" * 40
    newer.break_after = None
    assert store.download("Org/Name", accept_licence=lambda remote: True).revision == "b" * 40
    assert store.verify("Org/Name").revision == "b" * 40
    assert visible(root) == ["Org--Name"]


def test_a_file_that_is_not_what_the_hub_lists_is_refused_and_fetched_again(source, root):
    class Corrupting(FolderHub):
        def fetch(self, model, folder, progress):
            super().fetch(model, folder, progress)
            (folder / "model.safetensors").write_bytes(b"x" * (source / "model.safetensors").stat().st_size)

    store = ModelStore(root, Corrupting(source))
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not what the Hub lists"):
        store.download("Org/Name", accept_licence=lambda remote: True)
    assert visible(root) == []
    store.hub = hub = FolderHub(source)
    store.download("Org/Name", accept_licence=lambda remote: True)
    assert hub.fetched == ["model.safetensors"]


def test_a_full_disk_leaves_no_model_and_says_so(source, root):
    class Full(FolderHub):
        def fetch(self, model, folder, progress):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="No space left on device"):
        ModelStore(root, Full(source)).download("Org/Name", accept_licence=lambda remote: True)
    assert visible(root) == []


def test_an_imported_folder_is_a_checked_copy_and_the_source_is_untouched(source, root):
    (source / "modeling.py").write_text("raise SystemExit")
    before = sorted(path.name for path in source.iterdir())
    model = ModelStore(root).import_folder(source, "mine")
    assert model.licence == "apache-2.0"
    assert sorted(path.name for path in source.iterdir()) == before
    assert not (model.folder / "modeling.py").exists()
    assert verify_folder(model.folder).name == "mine"


@pytest.mark.parametrize("change", ["flip a byte", "delete", "add"])
def test_a_changed_missing_or_added_file_is_found_at_verify(source, root, change):
    store = ModelStore(root)
    folder = store.import_folder(source, "mine").folder
    victim = folder / "model.safetensors"
    if change == "flip a byte":
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
    elif change == "delete":
        victim.unlink()
    else:
        (folder / "model-2.safetensors").write_bytes(victim.read_bytes())
    with pytest.raises(CheckpointError, match=r"model(-2)?\.safetensors (has another SHA-256|is missing|was added)"):
        store.verify("mine")


def test_a_file_changed_on_purpose_verifies_after_its_record_is_updated(source, root):
    folder = ModelStore(root).import_folder(source, "mine").folder
    (folder / "config.json").write_text('{"a": 1}')
    update_record(folder, "config.json")
    assert verify_folder(folder) is not None


@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.pt", "model.safetensors"])
def test_a_pickle_is_refused_by_its_name_or_by_its_first_bytes(source, root, name):
    import pickle

    (source / name).write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(CheckpointError, match="pickle"):
        ModelStore(root).import_folder(source, "mine")
    with pytest.raises(CheckpointError, match="pickle"):
        verify_folder(source)
    assert visible(root) == []


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", None, "no config.json"),
        ("config.json", "{", "not valid JSON"),
        ("model.safetensors", None, "no .*safetensors"),
        ("model.safetensors", "short", "not a whole safetensors file"),
        ("tokenizer.json", None, "no tokenizer.json"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_with_the_reason(source, root, file, content, reason):
    (source / file).unlink()
    if content is not None:
        (source / file).write_text(content)
    with pytest.raises(CheckpointError, match=reason):
        ModelStore(root).import_folder(source, "mine")
    assert visible(root) == []


@pytest.mark.parametrize("name", ["../up", "a/b/c", "", ".hidden", "mini", "a b", "/root"])
def test_a_name_that_could_leave_the_store_is_refused(source, root, name):
    with pytest.raises(InputError):
        ModelStore(root).import_folder(source, name)
    with pytest.raises(InputError):
        ModelStore(root).remove(name)


def test_a_taken_name_is_refused_and_the_stored_model_is_unchanged(source, root, tmp_path):
    store = ModelStore(root)
    store.import_folder(source, "mine")
    with pytest.raises(InputError, match="already has"):
        store.import_folder(make_model(tmp_path / "other", 3.0), "mine")
    assert read_manifest(store.path("mine")).files["model.safetensors"].sha256 == (
        hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
    )


def test_a_removed_model_is_gone_and_cannot_be_removed_twice(source, root):
    store = ModelStore(root)
    store.import_folder(source, "mine")
    store.remove("mine")
    assert [model for model in store.list() if not model.bundled] == []
    with pytest.raises(InputError, match="no model 'mine'"):
        store.remove("mine")


def test_the_store_is_where_the_environment_says_and_a_folder_is_its_own_path(source, root, monkeypatch):
    monkeypatch.setenv("UNIBIOMED_MODELS", str(root))
    stored = ModelStore().import_folder(source, "mine")
    assert resolve("mine") == stored.folder == root / "mine"
    assert resolve(source) == source
    with pytest.raises(CheckpointError, match="is a file"):
        resolve(source / "config.json")
    with pytest.raises(CheckpointError, match=r"known: .*mine"):
        resolve("nothing-here")


def test_a_stored_model_is_loaded_by_its_name_and_a_changed_one_is_not(shared_dir, root, monkeypatch):
    from unibiomed.model.loading import load

    monkeypatch.setenv("UNIBIOMED_MODELS", str(root))
    folder = ModelStore().import_folder(shared_dir / "golden" / "model", "Org/Tiny").folder
    info = load("Org/Tiny", device="cpu").info
    assert (info.name, info.folder) == ("Org/Tiny", folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load("Org/Tiny", device="cpu")


def test_a_model_with_a_damaged_record_is_listed_as_such_and_can_be_removed(source, root):
    store = ModelStore(root)
    store.import_folder(source, "good")
    (store.import_folder(source, "bad").folder / MANIFEST_NAME).write_text("{")
    assert {model.name: model.source for model in store.list() if not model.bundled} == {
        "bad": "damaged record",
        "good": "imported folder",
    }
    with pytest.raises(CheckpointError, match="damaged"):
        store.verify("bad")
    store.remove("bad")
    assert visible(root) == ["good"]
