# SPDX-License-Identifier: Apache-2.0
"""The managed environment with stand-ins for uv and nvidia-smi; the real one is in test_environment_real.py."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, engineVariables
from UniBiomedSlicerLib.EngineSource import EngineSource
from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.EnvironmentRecord import pythonOf, readRecord

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in programs are shell scripts")

GOOD_FACTS = {
    "python": "3.12.4",
    "missing": [],
    "unibiomed": "0.1.0",
    "torch": "2.13.0+cpu",
    "cuda": False,
    "mps": False,
}


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def machine(environment, root, tmp_path, monkeypatch):
    """A machine with an own uv (writes what it is called with) and no nvidia-smi; ``machine.uv(body)`` changes uv."""

    class Machine:
        bin = tmp_path / "bin"
        calls = tmp_path / "calls.txt"

        def uv(self, onInstall: str = "") -> None:
            answer = json.dumps(GOOD_FACTS)
            script = f"""#!/bin/bash
echo "$@" >> {self.calls}
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/bash\\necho %q\\n' '{answer}' > "$folder/bin/python"
    chmod +x "$folder/bin/python"
    exit 0
fi
{onInstall}
echo "Resolved 3 packages in 1ms" >&2
"""
            program(self.bin / "uv", script)

        def called(self) -> list[str]:
            return self.calls.read_text().splitlines() if self.calls.exists() else []

    made = Machine()
    made.uv()
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return made


def test_nothing_is_installed_at_first(environment):
    assert environment.pythonPath() is None
    assert not environment.isInstalled()
    assert environment.state().kind == "absent"


def test_an_installation_runs_uv_and_counts_once_the_record_is_there(machine, environment, root, outcome):
    told = []
    environment.progressed.connect(lambda text, fraction: told.append((text, fraction)))
    ok, message = outcome(environment.finished, environment.install)
    assert ok, message
    assert "No NVIDIA GPU" in message
    record = readRecord(root)
    assert (record.version, record.torch, record.variant) == (EngineSource().version(), "2.13.0+cpu", "cpu")
    assert environment.pythonPath() == str(pythonOf(root / "env-1"))
    assert environment.state().kind == "ready"
    venv, torch, engine = machine.called()
    assert venv.startswith("venv --python >=3.11,<3.14")
    assert "--index-url https://download.pytorch.org/whl/cpu torch>=" in torch
    assert "--reinstall-package unibiomed" in engine
    assert str(EngineSource().folder) in engine
    fractions = [fraction for text, fraction in told if fraction is not None]
    assert fractions == sorted(fractions)
    assert (root / "install.log").read_text().count("$ ") == 5


def test_the_gpu_of_the_machine_chooses_the_index(machine, environment, outcome):
    program(machine.bin / "nvidia-smi", '#!/bin/bash\necho "NVIDIA H100, 580.65.06, 9.0, 81559"\n')
    ok, message = outcome(environment.finished, environment.install)
    assert ok, message
    assert "NVIDIA H100" in message
    assert "580.65.06" in message
    assert "/whl/cu130 torch>=" in machine.called()[1]


def test_installer_options_reach_uv(machine, environment, store, tmp_path, outcome):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    store.indexUrl = "https://user:secret@mirror.example/simple"
    store.torchIndexUrl = "https://mirror.example/torch"
    store.wheelsFolder = str(wheels)
    store.proxy = "http://proxy.example:3128"
    store.installerArguments = '--no-build --config-setting "a b"'
    machine.uv('echo "proxy $HTTPS_PROXY" >&2')
    ok, message = outcome(environment.finished, environment.install)
    assert ok, message
    _venv, torch, engine = machine.called()
    assert "--no-build --config-setting a b" in torch
    assert "--index-url https://mirror.example/torch/cpu" in torch
    assert f"--find-links {wheels}" in torch
    assert "--index-url https://user:secret@mirror.example/simple" in engine
    assert "proxy http://proxy.example:3128" in environment.log
    assert not [line for line in environment.log if "secret" in line]


def test_offline_uses_the_folder_of_wheels_alone(machine, environment, store, tmp_path, outcome):
    store.wheelsFolder = str(tmp_path)
    store.offline = True
    ok, message = outcome(environment.finished, environment.install)
    assert ok, message
    _venv, torch, engine = machine.called()
    assert "--no-index" in torch
    assert "--no-index" in engine
    assert "--index-url" not in torch + engine


def test_without_a_network_one_sentence_with_the_installers_last_line(machine, environment, root, outcome):
    machine.uv(
        "echo 'error: Request failed after 3 retries in 8.7s\n"
        "  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/\n"
        "  cause: client error (Connect)\n"
        "  cause: failed to lookup address information: Name or service not known' >&2; exit 2"
    )
    ok, message = outcome(environment.finished, environment.install)
    assert not ok
    assert message == (
        "Installing PyTorch failed: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/ (failed to lookup "
        "address information: Name or service not known). Check the network, or give a proxy, a mirror or a folder of "
        "wheels in the installer options."
    )
    assert not (root / "env-1").exists()
    assert environment.state().kind == "absent"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("error: invalid peer certificate: UnknownIssuer", "inspect TLS"),
        ("error: No space left on device (os error 28)", "Free some disk space"),
        ("error: Permission denied (os error 13)", "folder that you can write to"),
        ("error: something else", "log has the details"),
    ],
)
def test_the_usual_causes_come_with_advice(machine, environment, outcome, line, advice):
    machine.uv(f'echo "{line}" >&2; exit 1')
    ok, message = outcome(environment.finished, environment.install)
    assert not ok
    assert advice in message
    assert "\n" not in message


def test_cancelling_leaves_no_half_environment(machine, environment, host, root, outcome):
    machine.uv('echo "Downloading torch (180.0MiB)" >&2; exec sleep 60')
    lines = []
    environment.lineArrived.connect(lines.append)

    def cancelWhenDownloading():
        environment.install()
        host.spin(until=lambda: any("Downloading torch" in line for line in lines))
        assert (root / "env-1").exists()
        environment.cancel()

    ok, message = outcome(environment.finished, cancelWhenDownloading)
    assert not ok
    assert message.startswith("Cancelled")
    assert not list(root.glob("env-*"))
    assert not list(root.glob(".removing-*"))
    assert environment.state().kind == "absent"
    assert not environment.isBusy()


def test_a_program_that_ignores_the_request_to_end_is_killed(machine, environment, host, outcome):
    machine.uv("trap '' TERM; echo stubborn >&2; while true; do sleep 0.1; done")
    lines = []
    environment.lineArrived.connect(lines.append)

    def cancelWhenStubborn():
        environment.install()
        host.spin(until=lambda: "stubborn" in lines)
        environment.cancel()

    ok, message = outcome(environment.finished, cancelWhenStubborn, 10)
    assert not ok
    assert message.startswith("Cancelled")


def test_a_failed_upgrade_leaves_the_old_environment_in_use(machine, environment, root, outcome):
    assert outcome(environment.finished, environment.install)[0]
    before = environment.pythonPath()
    machine.uv("exit 1")
    ok, _message = outcome(environment.finished, environment.install)
    assert not ok
    assert environment.pythonPath() == before
    assert Path(before).exists()
    assert [folder.name for folder in root.glob("env-*")] == ["env-1"]


def test_another_version_of_the_extension_asks_for_an_upgrade_and_gets_it(
    machine, environment, store, root, tmp_path, outcome
):
    assert outcome(environment.finished, environment.install)[0]
    engine = tmp_path / "Engine"
    (engine / "src").mkdir(parents=True)
    (engine / "pyproject.toml").write_text('[project]\nname = "unibiomed"\nversion = "0.2.0"\n')
    newer = Environment(store, root, EngineSource(engine))
    state = newer.state()
    assert (state.kind, state.usable) == ("outdated", False)
    assert "0.1.0" in state.text
    assert "0.2.0" in state.text
    assert newer.pythonPath() is None
    ok, message = outcome(newer.finished, newer.install)
    assert ok, message
    assert newer.version() == "0.2.0"
    assert newer.state().kind == "ready"
    assert [folder.name for folder in root.glob("env-*")] == ["env-2"]


def test_changed_sources_of_the_same_version_are_noticed(machine, environment, store, root, tmp_path, outcome):
    engine = tmp_path / "Engine"
    (engine / "src").mkdir(parents=True)
    (engine / "pyproject.toml").write_text('[project]\nname = "unibiomed"\nversion = "0.1.0"\n')
    mine = Environment(store, root, EngineSource(engine))
    assert outcome(mine.finished, mine.install)[0]
    assert mine.state().kind == "ready"
    (engine / "src" / "new.py").write_text("x = 1\n")
    assert (mine.state().kind, mine.state().usable) == ("changed", True)


def test_a_damaged_environment_is_told_and_repaired(machine, environment, root, outcome):
    assert outcome(environment.finished, environment.install)[0]
    pythonOf(root / "env-1").unlink()
    assert (environment.state().kind, environment.pythonPath()) == ("broken", None)
    ok, message = outcome(environment.finished, environment.repair)
    assert ok, message
    assert environment.state().kind == "ready"
    assert "--refresh" in machine.called()[-1]
    assert [folder.name for folder in root.glob("env-*")] == ["env-2"]


def test_a_damaged_record_counts_as_nothing_installed(machine, environment, root, outcome):
    assert outcome(environment.finished, environment.install)[0]
    (root / "environment.json").write_text('{"format": 1, "environment": {"fol')
    assert environment.state().kind == "absent"
    environment.clearLeftovers()
    assert outcome(environment.finished, environment.install)[0]
    assert environment.state().kind == "ready"


def test_removing_frees_everything(machine, environment, root, outcome):
    assert outcome(environment.finished, environment.install)[0]
    (root / "cache").mkdir()
    (root / "cache" / "wheel").write_bytes(b"x" * 1000)
    ok, message = outcome(environment.finished, environment.remove)
    assert ok, message
    assert [path.name for path in root.iterdir()] == ["install.log"]
    assert environment.state().kind == "absent"


def test_an_interrupted_build_is_cleared_at_the_next_start(environment, host, root):
    (root / "env-3" / "lib").mkdir(parents=True)
    (root / "env-3" / "lib" / "half").write_text("x")
    environment.clearLeftovers()
    host.spin(until=lambda: not list(root.glob(".removing-*")))
    assert not (root / "env-3").exists()


def test_a_second_slicer_neither_builds_nor_clears_up_while_the_first_one_builds(
    machine, environment, store, host, root, outcome
):
    machine.uv("exec sleep 60")
    other = Environment(store, root)
    environment.install()
    host.spin(until=lambda: len(machine.called()) == 2)
    ok, message = outcome(other.finished, other.install)
    assert not ok
    assert message.startswith("Another Slicer is installing")
    other.clearLeftovers()
    host.spin(seconds=0.2)
    assert (root / "env-1").exists()
    assert outcome(environment.finished, environment.cancel)[0] is False
    # What a crash left is too old to count.
    (root / "installing").touch()
    os.utime(root / "installing", (0, 0))
    machine.uv()
    assert outcome(other.finished, other.install)[0]
    assert not (root / "installing").exists()


def test_uv_is_not_fetched_without_consent(environment, monkeypatch, outcome, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("UniBiomedSlicerLib.Environment.findUv", lambda tools: None)
    assert environment.needsUv()
    ok, message = outcome(environment.finished, environment.install)
    assert not ok
    assert "not been agreed" in message


def test_a_full_disk_is_told_before_anything_is_done(machine, environment, monkeypatch, outcome):
    monkeypatch.setattr("UniBiomedSlicerLib.Environment.freeSpace", lambda folder: 10**9)
    ok, message = outcome(environment.finished, environment.install)
    assert not ok
    assert "3.0 GB are needed" in message
    assert machine.called() == []


def test_a_folder_that_cannot_be_made_is_told(machine, environment, store, tmp_path, outcome):
    (tmp_path / "file").write_text("x")
    environment._root = None
    store.environmentFolder = str(tmp_path / "file" / "UniBiomed")
    ok, message = outcome(environment.finished, environment.install)
    assert not ok
    assert "choose another one in the settings" in message


def test_an_interpreter_of_ones_own_is_checked_by_running_it(environment, host, tmp_path):
    results = []
    environment.check(sys.executable, lambda *found: results.append(found))
    environment.check(str(tmp_path / "none"), lambda *found: results.append(found))
    environment.check("/bin/false", lambda *found: results.append(found))
    host.spin(until=lambda: len(results) == 3, timeout=60)
    byOutcome = {ok: (sentence, facts) for ok, sentence, facts in results}
    assert byOutcome[True][1]["unibiomed"] == EngineSource().version()
    sentences = [sentence for ok, sentence, _facts in results if not ok]
    assert any("no Python interpreter" in sentence for sentence in sentences)
    assert any("failed" in sentence for sentence in sentences)


def test_an_interpreter_that_lacks_the_engine_is_told_what_to_install(environment, host, tmp_path):
    poor = program(
        tmp_path / "bin" / "python", '#!/bin/bash\necho \'{"python": "3.12.1", "missing": ["torch", "fastapi"]}\'\n'
    )
    results = []
    # The folder of an environment is as good as its interpreter.
    environment.check(str(tmp_path), lambda *found: results.append(found))
    host.spin(until=lambda: results)
    ok, sentence, _facts = results[0]
    assert not ok
    assert str(poor) in sentence
    assert "lacks torch, fastapi" in sentence


def test_the_chosen_interpreter_is_used_and_its_loss_is_told(environment, store, tmp_path):
    chosen = program(tmp_path / "python", "#!/bin/bash\n")
    store.interpreter = str(chosen)
    assert environment.pythonPath() == str(chosen)
    assert environment.state().kind == "external"
    chosen.unlink()
    assert environment.pythonPath() is None
    assert (environment.state().kind, environment.state().usable) == ("broken", False)


def test_children_do_not_inherit_what_is_slicers(host, store, monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "QT_PLUGIN_PATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/slicer")
    monkeypatch.setattr("slicer.util.startupEnvironment", lambda: dict(os.environ))
    environment = childEnvironment({"EXTRA": "1"})
    assert not [name for name, value in environment.items() if value == "/slicer"]
    assert environment["EXTRA"] == "1"
    assert environment["PATH"] == os.environ["PATH"]
    store.modelsFolder, store.hubEndpoint, store.proxy = "/models", "https://mirror.example/", "http://proxy:1"
    variables = engineVariables(store)
    assert variables["UNIBIOMED_MODELS"] == "/models"
    assert variables["HF_ENDPOINT"] == "https://mirror.example"
    assert variables["https_proxy"] == "http://proxy:1"
    assert "127.0.0.1" in variables["NO_PROXY"]


def test_slicer_ends_while_installing(machine, environment, host):
    machine.uv("exec sleep 60")
    lines = []
    environment.lineArrived.connect(lines.append)
    environment.install()
    host.spin(until=lambda: any(" pip install " in line for line in lines))
    pid = environment._steps._process.processId()
    environment.cleanup()
    host.spin(seconds=0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
