# SPDX-License-Identifier: Apache-2.0
"""Models from Slicer's side, through the engine's real command line; the Hub is a mirror on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from UniBiomedSlicerLib.EngineSource import EngineSource
from UniBiomedSlicerLib.ModelStore import ModelStore

NAME = "Luffy503/UniBiomed"


@pytest.fixture
def models(environment, store, tmp_path):
    store.interpreter = sys.executable
    store.modelsFolder = str(tmp_path / "models")
    made = ModelStore(environment, store)
    yield made
    made.cleanup()


@pytest.fixture
def mini():
    return EngineSource().folder / "src" / "unibiomed" / "models" / "mini"


@pytest.fixture
def mirror(store, tmp_path, mini):
    """Starts the mirror with Mini's files under the published name; ``mirror(bytesPerSecond)``."""
    started = []
    folder = tmp_path / "mirror"
    shutil.copytree(mini, folder, ignore=shutil.ignore_patterns("unibiomed-files.json"))

    def start(speed: int = 0) -> Path:
        script = Path(__file__).with_name("hub_stand_in.py")
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder), str(speed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        store.hubEndpoint = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        return folder

    yield start
    for process in started:
        process.stdin.close()
        process.wait(10)


def lookUp(host, models):
    answers = []
    models.lookUp(NAME, lambda *answer: answers.append(answer))
    host.spin(until=lambda: answers, timeout=60)
    return answers[0]


def refresh(host, models):
    seen = []
    listener = models.changed.connect(lambda: seen.append(True))
    models.refresh()
    host.spin(until=lambda: seen, timeout=60)
    models.changed.disconnect(listener)
    return {model.name: model for model in models.models}


def test_mini_is_listed_without_a_network(host, models, store, tmp_path):
    store.offline = True
    found = refresh(host, models)
    assert found["mini"].bundled
    assert found["mini"].licence == "Apache-2.0"
    assert models.folder == str(tmp_path / "models")


def test_without_an_engine_the_list_is_empty_and_commands_say_why(host, environment, store):
    models = ModelStore(environment, store)
    assert refresh(host, models) == {}
    results = []
    models.finished.connect(lambda *result: results.append(result))
    models.verify("mini")
    assert results == [(False, "The engine is not installed; make the environment first.")]


def test_a_model_is_looked_up_downloaded_verified_and_removed(host, models, mirror, store, outcome):
    mirror()
    ok, message, remote = lookUp(host, models)
    assert ok, message
    assert (remote.name, remote.licence) == (NAME, "apache-2.0")
    assert remote.size > 20e6
    assert not models.licenceAccepted(remote)
    fractions = []
    models.progressed.connect(lambda text, fraction: fractions.append(fraction))
    ok, message = outcome(models.finished, lambda: models.download(remote), 120)
    assert ok, message
    assert fractions[-1] == 1.0
    assert models.licenceAccepted(remote)
    found = refresh(host, models)
    assert found[NAME].revision == remote.revision
    ok, message = outcome(models.finished, lambda: models.verify(NAME), 60)
    assert ok, message
    weights = Path(found[NAME].folder) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    ok, message = outcome(models.finished, lambda: models.verify(NAME), 60)
    assert not ok
    assert "model.safetensors" in message
    ok, message = outcome(models.finished, lambda: models.remove(NAME), 60)
    assert ok
    assert "MB are free again" in message
    assert NAME not in refresh(host, models)


@pytest.mark.slow
def test_a_stopped_download_goes_on_where_it_was(host, models, mirror, store, outcome, tmp_path):
    folder = mirror(2_000_000)
    _ok, _message, remote = lookUp(host, models)
    fractions = []
    models.progressed.connect(lambda text, fraction: fractions.append(fraction or 0.0))

    def stopAmid():
        models.download(remote)
        host.spin(until=lambda: max(fractions) > 0.2, timeout=60)
        (part,) = (tmp_path / "models").rglob("*.part")
        assert part.stat().st_size >= 0.2 * remote.size, "progress told of bytes that were not on the disk"
        models.cancel()

    ok, message = outcome(models.finished, stopAmid, 60)
    assert not ok
    assert message.startswith("Stopped")
    assert NAME not in refresh(host, models)
    assert [path for path in (tmp_path / "models").rglob("*.part") if path.stat().st_size > 1_000_000]
    mirror()
    ok, message = outcome(models.finished, lambda: models.download(remote), 120)
    assert ok, message
    assert (Path(refresh(host, models)[NAME].folder) / "model.safetensors").read_bytes() == (
        folder / "model.safetensors"
    ).read_bytes()
    name, begin = (tmp_path / "ranges.txt").read_text().split()
    assert name == "model.safetensors"
    assert int(begin) > 1_000_000


def test_an_unreachable_hub_is_one_sentence(host, models, store):
    store.hubEndpoint = "http://127.0.0.1:9"
    ok, message, _remote = lookUp(host, models)
    assert not ok
    assert "could not be fetched" in message
    assert "\n" not in message
    assert not message.startswith("unibiomed:")


def test_a_folder_is_imported_and_bad_ones_are_refused(host, models, mini, outcome, tmp_path):
    ok, message = outcome(models.finished, lambda: models.importFolder(mini, "my-model"), 60)
    assert ok, message
    assert "my-model" in refresh(host, models)
    ok, message = outcome(models.finished, lambda: models.importFolder(tmp_path / "absent", "other"), 60)
    assert not ok
    assert "There is no folder" in message


def test_a_broken_answer_is_told_as_such(host, environment, store, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho '{\"unexpected\": 1}'\n")
    fake.chmod(0o755)
    store.interpreter = str(fake)
    models = ModelStore(environment, store)
    ok, message, _remote = lookUp(host, models)
    assert not ok
    assert "repair the environment" in message


def test_the_command_line_prints_progress_in_lines(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "unibiomed.cli", "models", "verify", "mini", "--json", "--progress", "lines"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert lines[-1]["done"] == lines[-1]["total"]
    assert json.loads(run.stdout)["verified"] is True
