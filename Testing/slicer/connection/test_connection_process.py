# SPDX-License-Identifier: Apache-2.0
"""The child process alone, with a stand-in for the engine: hand-shake, ends, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from UniBiomedSlicerLib import EngineProcess as module
from UniBiomedSlicerLib.ChildEnvironment import childEnvironment
from UniBiomedSlicerLib.EngineProcess import EngineProcess

OPTIONS = {"model": "mini", "device": "cpu", "log_level": "info"}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def begin(host, tmp_path):
    """``begin(behaviour)`` starts a stand-in; ``.ends``, ``.readies`` and ``.lines`` are what it told."""
    package = tmp_path / "packages" / "unibiomed"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(Path(__file__).with_name("fake_unibiomed.py"), package / "cli.py")
    made = []

    def begin(behaviour, python=sys.executable):
        process = EngineProcess()
        process.ends, process.readies, process.lines = [], [], []
        process.ended.connect(process.ends.append)
        process.ready.connect(lambda: process.readies.append(process.port))
        process.logLine.connect(process.lines.append)
        extra = {"PYTHONPATH": str(package.parent), "FAKE_BEHAVIOUR": behaviour}
        process.start(python, childEnvironment(extra), OPTIONS)
        made.append(process)
        return process

    yield begin
    for process in made:
        process.cleanup()
    host.spin(seconds=0.1)


def test_token_and_choices_go_through_stdin_and_the_port_comes_through_stdout(host, begin):
    process = begin("well")
    host.spin(until=lambda: process.readies and len(process.lines) > 3)
    told = json.loads(next(line for line in process.lines if line.startswith("first "))[6:])
    assert told == {"protocol": 1, "token": process.token, **OPTIONS}
    assert len(process.token) >= 32
    assert (process.state, process.port, process.version) == ("running", 1, "9.9")
    assert process.token not in Path(f"/proc/{process.pid}/cmdline").read_text()
    assert process.token.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert "not for the hand-shake" in process.lines
    assert process.token not in process.log.text().replace(json.dumps(told), "")


def test_the_child_does_not_inherit_slicers_python(host, begin, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setenv("QT_PLUGIN_PATH", "/nowhere")
    process = begin("well")
    host.spin(until=lambda: process.readies and len(process.lines) > 3)
    names = json.loads(next(line for line in process.lines if line.startswith("environment "))[12:])
    assert not {"PYTHONHOME", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH"} & set(names)


@pytest.mark.skipif(sys.platform == "win32", reason="another notion of priority")
def test_the_child_gives_way_to_slicer(host, begin):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    process = begin("well")
    host.spin(until=lambda: process.readies)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == max(10, own)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_a_stopped_child_ends_by_its_closed_stdin_and_tells_once(host, begin):
    process = begin("well")
    host.spin(until=lambda: process.readies)
    pid = process.pid
    process.stop()
    process.stop()
    host.spin(until=lambda: process.ends)
    assert [end.expected for end in process.ends] == [True]
    assert process.state == "stopped"
    assert not alive(pid)


def test_a_child_that_will_not_end_is_killed_with_its_own_children(host, begin, monkeypatch):
    monkeypatch.setattr(module, "POLITE_MS", 100)
    monkeypatch.setattr(module, "TERMINATE_MS", 100)
    process = begin("stubborn")
    host.spin(until=lambda: process.readies and any(line.startswith("child ") for line in process.lines))
    pids = [process.pid, int(next(line for line in process.lines if line.startswith("child "))[6:])]
    assert all(alive(pid) for pid in pids)
    process.stop()
    host.spin(until=lambda: process.ends)
    host.spin(until=lambda: not any(alive(pid) for pid in pids))
    assert process.ends[0].expected


def test_slicers_end_kills_it_at_once(host, begin):
    process = begin("stubborn")
    host.spin(until=lambda: process.readies and any(line.startswith("child ") for line in process.lines))
    pids = [process.pid, int(next(line for line in process.lines if line.startswith("child "))[6:])]
    process.killNow()
    host.spin(until=lambda: not any(alive(pid) for pid in pids), timeout=3)
    assert process.ends == []


def test_a_full_disk_is_told_in_words_with_the_last_lines(host, begin):
    process = begin("disk full")
    host.spin(until=lambda: process.ends)
    (end,) = process.ends
    assert not end.expected
    assert "could not be started" in end.message
    assert "disk is full" in end.message
    assert "No space left" in end.lastLines[-1]


def test_an_unexpected_end_is_told(host, begin):
    process = begin("crashes")
    host.spin(until=lambda: process.ends)
    (end,) = process.ends
    assert (end.expected, end.code) == (False, "engine_crashed")
    assert "exit code 11" in end.message


@pytest.mark.parametrize("behaviour", ["another protocol", "refuses"])
def test_an_engine_of_another_protocol_is_told_in_words(host, begin, behaviour):
    process = begin(behaviour)
    pid = process.pid
    host.spin(until=lambda: process.ends)
    (end,) = process.ends
    assert end.code == "protocol_mismatch"
    assert "protocol" in end.message
    assert not alive(pid)


def test_an_engine_that_never_answers_is_given_up(host, begin, monkeypatch):
    monkeypatch.setattr(module, "READY_SECONDS", 0.3)
    process = begin("silent")
    host.spin(until=lambda: process.ends)
    assert process.ends[0].code == "start_timeout"


@pytest.mark.parametrize("kind", ["absent", "not executable", "a folder"])
def test_an_interpreter_that_cannot_run_is_told_in_words(host, begin, tmp_path, kind):
    python = tmp_path / "python"
    if kind == "not executable":
        python.write_text("#!/bin/sh\nexit 0\n")
        python.chmod(0o644)
    elif kind == "a folder":
        python.mkdir()
    process = begin("well", str(python))
    host.spin(until=lambda: process.ends)
    (end,) = process.ends
    assert end.code == "failed_to_start"
    assert "repair the environment" in end.message
    assert process.state == "stopped"


def test_a_second_start_while_one_runs_is_ignored(host, begin):
    process = begin("well")
    host.spin(until=lambda: process.readies)
    pid, token = process.pid, process.token
    process.start(sys.executable, dict(os.environ), OPTIONS)
    assert (process.pid, process.token) == (pid, token)


def test_it_can_be_started_again_after_every_kind_of_end(host, begin, tmp_path):
    process = begin("crashes")
    host.spin(until=lambda: process.ends)
    extra = {"PYTHONPATH": str(tmp_path / "packages"), "FAKE_BEHAVIOUR": "well"}
    process.start(sys.executable, childEnvironment(extra), OPTIONS)
    host.spin(until=lambda: process.readies)
    process.killNow()
    process.start(sys.executable, childEnvironment(extra), OPTIONS)
    host.spin(until=lambda: len(process.readies) == 2)
    assert process.state == "running"
