# SPDX-License-Identifier: Apache-2.0
"""A cohort from folder to catalogue: found, annotated, killed, gone on with."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from unibiomed.cli.app import run
from unibiomed.cohort.annotate import AUTOMATIC, RESULT
from unibiomed.cohort.cases import Case, find_cases
from unibiomed.cohort.catalogue import FILE, Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.records import Outcome
from unibiomed.cohort.run import coordinating
from unibiomed.errors import InputError
from unibiomed.phantoms import generate

SEED = 10_500_000
TARGET = "melanoma"
# The same loop as the command's, with a stand-in for the model, so that twenty kills take seconds.
SLOW_LOOP = """
import sys, time
from pathlib import Path
from unibiomed.cohort.catalogue import Catalogue, Outcome
from unibiomed.cohort.run import annotate_here, work
from unibiomed.volumes.atomic import atomic_folder
folder = Path(sys.argv[1])
def annotator(case, cancelled):
    with atomic_folder(folder / "automatic" / case.id, replace=True) as scratch:
        (scratch / "result.json").write_text('{"case": "%s"}' % case.id)
        time.sleep(0.004)
    with (folder / "log.txt").open("a") as log:
        log.write(case.id + "\\n")
    return Outcome(0.004, "fake", "0" * 64, ("p",), 0.5, 1)
with Catalogue(folder) as catalogue:
    print("started", flush=True)
    work(catalogue, annotate_here(annotator), lambda event: None, lambda: False)
print("ended", flush=True)
"""


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Six skin phantoms with BIDS names, and one file that is no image."""
    folder = tmp_path / "skin"
    for number in range(6):
        subject = folder / f"sub-{number:02d}"
        subject.mkdir(parents=True)
        picture = generate("dermoscopy", SEED + number).image
        Image.fromarray(picture).save(subject / f"sub-{number:02d}_photo.png")
    (folder / "broken.nii.gz").write_text("not an image")
    return folder


def test_a_cohort_is_annotated_and_the_case_that_fails_is_listed_with_its_reason(pictures, capsys):
    assert run(["annotate", str(pictures), "--modality", "dermoscopy", "-t", TARGET, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"waiting": 0, "running": 0, "done": 6, "failed": 1}
    reasons = {case["id"]: case["reason"] for case in told["cases"] if case["state"] == "failed"}
    assert list(reasons) == ["broken"]
    assert "not an image" in reasons["broken"]
    folder = pictures / "derivatives" / "unibiomed"
    assert all((folder / AUTOMATIC / f"sub-{n:02d}_photo" / RESULT).is_file() for n in range(6))
    assert "sub-03_photo" in (folder / "overview.html").read_text(encoding="utf-8")


def test_a_second_run_does_nothing_twice_and_takes_new_images_up(pictures, capsys):
    arguments = ["annotate", str(pictures), "--modality", "dermoscopy", "--site", "skin", "-t", TARGET, "--json"]
    run(arguments)
    folder = pictures / "derivatives" / "unibiomed"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("result.json")}
    Image.fromarray(generate("dermoscopy", SEED + 50).image).save(pictures / "new.png")
    capsys.readouterr()
    run(arguments)
    assert json.loads(capsys.readouterr().out)["counts"]["done"] == 7
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_plan_is_refused_until_it_is_asked_for(pictures, capsys):
    run(["annotate", str(pictures), "--modality", "dermoscopy", "-t", TARGET, "--quiet"])
    assert run(["annotate", str(pictures), "-t", "lesion", "--quiet"]) == 2
    assert "--redo" in capsys.readouterr().err
    assert run(["annotate", str(pictures), "-t", "lesion", "--redo", "--quiet"]) == 0
    with Catalogue(pictures / "derivatives" / "unibiomed") as catalogue:
        assert catalogue.plan.targets == ("lesion",)
        assert {record.outcome.prompts for record in catalogue.records() if record.outcome} == {
            ("<image>Please segment lesion in skin dermoscopy.",)
        }


def test_a_case_that_was_reviewed_is_not_done_again(pictures):
    run(["annotate", str(pictures), "--modality", "dermoscopy", "-t", TARGET, "--quiet"])
    with Catalogue(pictures / "derivatives" / "unibiomed") as catalogue:
        catalogue.decide("sub-02_photo", "corrected", "R. Reader", folder="reviewed/sub-02_photo/1")
        assert catalogue.wait_again(["done"]) == 5
        assert catalogue.record("sub-02_photo").decision.reviewer == "R. Reader"


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_nothing_and_do_no_finished_case_twice(tmp_path):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    for number in range(120):
        Image.new("L", (4, 4)).save(cohort / f"{number:03d}.png")
    folder = tmp_path / "catalogue"
    Catalogue.create(folder, cohort, Plan(targets=("x",)), find_cases(cohort)).close()
    chance = random.Random(7)
    decided: set[str] = set()
    kills = 0
    while kills < 20:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_LOOP, str(folder)], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert process.stdout.readline().strip() == "started"
        time.sleep(chance.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kills += 1
        with Catalogue(folder) as catalogue:
            fresh = [r.case.id for r in catalogue.records() if r.state == "done" and r.case.id not in decided]
            if fresh:
                catalogue.decide(fresh[0], "accepted", "reader")
                decided.add(fresh[0])
    subprocess.run([sys.executable, "-c", SLOW_LOOP, str(folder)], check=True, stdout=subprocess.DEVNULL)
    with Catalogue(folder) as catalogue:
        records = list(catalogue.records())
        assert {record.state for record in records} == {"done"}
        assert {record.case.id for record in records if record.decision} == decided
        for record in records:
            written = json.loads((folder / AUTOMATIC / record.case.id / "result.json").read_text())
            assert written == {"case": record.case.id}
        attempts = sum(record.attempts for record in records)
    worked = (folder / "log.txt").read_text().split()
    # A case may be worked on again only when the kill fell between its files and its record.
    assert len(worked) <= attempts <= len(records) + kills
    assert not list((folder / AUTOMATIC).glob(".*"))


def test_two_coordinators_at_once_are_refused(tmp_path):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    Image.new("L", (4, 4)).save(cohort / "a.png")
    folder = tmp_path / "catalogue"
    with Catalogue.create(folder, cohort, Plan(), find_cases(cohort)) as one, Catalogue(folder) as other:
        with coordinating(one), pytest.raises(InputError, match="Another process"), coordinating(other):
            pass
        with coordinating(other):
            pass


def test_a_catalogue_that_cannot_be_opened_is_told_in_one_sentence(tmp_path):
    folder = tmp_path / "catalogue"
    Catalogue.create(folder, tmp_path, Plan(), [Case("a", "a", "a.png")]).close()
    # What a folder that may not be written looks like to SQLite.
    (folder / f"{FILE}-wal").mkdir()
    with pytest.raises(InputError, match="may you write to it and to its folder"):
        Catalogue(folder)
    (folder / f"{FILE}-wal").rmdir()
    (folder / FILE).write_bytes(b"something else " * 500)
    with pytest.raises(InputError, match="cannot be opened as a catalogue"):
        Catalogue(folder)
    (folder / FILE).unlink()
    other = sqlite3.connect(folder / FILE)
    other.execute("CREATE TABLE other (a)")
    other.close()
    with pytest.raises(InputError, match="cannot be opened as a catalogue"):
        Catalogue(folder)


def test_an_undone_decision_stays_in_the_history(tmp_path):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    Image.new("L", (4, 4)).save(cohort / "a.png")
    with Catalogue.create(tmp_path / "catalogue", cohort, Plan(), find_cases(cohort)) as catalogue:
        with pytest.raises(InputError, match="waiting"):
            catalogue.decide("a", "accepted", "reader")
        catalogue.claim()
        catalogue.finish("a", Outcome(1.0, "model", "0" * 64, ("p",), 1.0, 0))
        catalogue.decide("a", "accepted", "first")
        catalogue.decide("a", "rejected", "second", note="wrong side")
        assert catalogue.record("a").decision.verdict == "rejected"
        assert catalogue.undo().reviewer == "second"
        assert catalogue.record("a").decision.verdict == "accepted"
        assert [(d.reviewer, stands) for d, stands in catalogue.history("a")] == [("first", True), ("second", False)]
        catalogue.undo("a")
        assert catalogue.record("a").decision is None
        assert catalogue.undo() is None


@pytest.mark.parametrize(
    "arguments", [["annotate", "https://pacs.example.org/x", "-o", "{}"], ["send", "{}", "https://pacs.example.org/x"]]
)
def test_an_archive_without_its_client_installed_is_told_in_one_sentence(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "unibiomed.cohort.archive", raising=False)
    monkeypatch.setitem(sys.modules, "dicomweb_client.api", None)
    assert run([argument.format(tmp_path) for argument in arguments]) == 2
    assert "pip install 'unibiomed[dicomweb]'" in capsys.readouterr().err
