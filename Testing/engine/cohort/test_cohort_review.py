# SPDX-License-Identifier: Apache-2.0
"""The review queue: its orders, what they are worth, and a conversation with it over lines of JSON."""

from __future__ import annotations

import errno
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unibiomed.cohort import conversation
from unibiomed.cohort import review as review_module
from unibiomed.cohort.annotate import AUTOMATIC, SEGMENTATION
from unibiomed.cohort.cases import Case, find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.conversation import answer, converse
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.records import Decision, Outcome, Record
from unibiomed.cohort.review import Review
from unibiomed.cohort.simulation import corrections_needed, queue_gain
from unibiomed.cohort.strategies import STRATEGIES, at_random, least_confident, most_different, most_disagreement
from unibiomed.volumes import Volume
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation


def _record(name: str, confidence: float = 0.5, disagreement: float | None = None, vector=None) -> Record:
    outcome = Outcome(1.0, "m", "0" * 64, (), confidence, 1, disagreement, None if vector is None else np.array(vector))
    return Record(Case(name, name, f"{name}.png"), "done", 1, "", 1.0, outcome)


def _reviewed(record: Record) -> Record:
    return replace(record, decision=Decision(1, record.case.id, "accepted", "r", 1.0))


def _names(records) -> list[str]:
    return [record.case.id for record in records]


def test_the_least_confident_case_comes_first_and_reviewed_ones_do_not_come():
    records = [_record("a", 0.9), _record("b", 0.1), _reviewed(_record("c", 0.0)), _record("d", 0.4)]
    assert _names(least_confident(records)) == ["b", "d", "a"]


def test_the_case_whose_two_readings_differ_most_comes_first_and_unmeasured_ones_last():
    records = [_record("a"), _record("b", disagreement=0.2), _record("c", disagreement=0.7)]
    assert _names(most_disagreement(records)) == ["c", "b", "a"]


def test_the_case_least_like_the_reviewed_ones_comes_first():
    records = [
        _reviewed(_record("seen", vector=(1.0, 0.0))),
        _record("same", vector=(1.0, 0.0)),
        _record("other", vector=(0.0, 1.0)),
        _record("between", vector=(0.7071, 0.7071)),
        _record("unknown"),
    ]
    assert _names(most_different(records)) == ["other", "between", "same", "unknown"]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 9999), count=st.integers(0, 12))
def test_every_strategy_orders_all_open_cases_and_no_other(seed, count):
    rng = np.random.default_rng(seed)
    records = [
        _record(f"c{n}", rng.random(), rng.random() if rng.random() < 0.5 else None, rng.normal(size=4))
        for n in range(count)
    ]
    records = [_reviewed(record) if rng.random() < 0.3 else record for record in records]
    wanted = sorted(_names(record for record in records if record.decision is None))
    for strategy in STRATEGIES.values():
        assert sorted(_names(strategy(records))) == wanted
    assert _names(at_random(records)) == _names(at_random(list(reversed(records))))


def test_corrections_are_counted_until_the_mean_reaches_the_goal():
    dice = [0.2, 0.9, 0.5, 0.8]
    assert corrections_needed(dice, [0, 2, 3, 1], 0.6) == 0
    assert corrections_needed(dice, [0, 2, 3, 1], 0.8) == 1
    assert corrections_needed(dice, [1, 3, 2, 0], 0.8) == 3
    assert corrections_needed(dice, [0, 1, 2, 3], 1.0) == 4


def test_an_order_that_knows_the_bad_cases_spares_corrections_and_one_that_knows_nothing_does_not():
    rng = np.random.default_rng(0)
    dice = np.where(rng.random(80) < 0.2, rng.uniform(0, 0.3, 80), rng.uniform(0.85, 0.95, 80))
    good = queue_gain(dice, 1 - dice, 0.9)
    assert good.low > 1.5
    useless = queue_gain(dice, rng.random(80), 0.9)
    assert useless.low < 1.0 < useless.high


def _segmentation(path: Path, *names: str) -> bytes:
    """A ``.seg.nrrd`` with a segment a name; returns what is in the file."""
    volume = Volume.from_array(np.arange(16, dtype=np.uint8).reshape(1, 4, 4), np.eye(4))
    mask = BoxMask.from_full(np.ones(volume.shape, dtype=bool))
    segments = tuple(Segment(name, name, mask) for name in names)
    write_segmentation(path, Segmentation(volume.shape, volume.ijk_to_ras, segments), reference=volume)
    return path.read_bytes()


@pytest.fixture
def review(tmp_path):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    for name in ("a", "b"):
        Image.new("L", (4, 4)).save(cohort / f"{name}.png")
    folder = tmp_path / "catalogue"
    with Catalogue.create(folder, cohort, Plan(), find_cases(cohort)) as catalogue:
        for confidence in (0.9, 0.2):
            case = catalogue.claim()
            automatic = folder / AUTOMATIC / case.id
            automatic.mkdir(parents=True)
            _segmentation(automatic / SEGMENTATION, "automatic")
            catalogue.finish(case.id, Outcome(1.0, "m", "0" * 64, (), confidence, 1))
        yield Review(catalogue)


def _ask(review: Review, **request) -> dict:
    return answer(review, json.dumps(request))


def test_a_conversation_goes_through_queue_files_correction_and_undo(review, tmp_path):
    assert [case["id"] for case in _ask(review, do="queue")["cases"]] == ["b", "a"]
    before = Path(_ask(review, do="open", case="b")["files"]["segmentation"]).read_bytes()
    corrected = tmp_path / "mine.seg.nrrd"
    mine = _segmentation(corrected, "corrected")
    told = _ask(review, id=7, do="correct", case="b", reviewer="R", segmentation=str(corrected), text={"text": "x"})
    assert told == {"id": 7, "ok": True, "decision": {"case": "b", "verdict": "corrected", "reviewer": "R"}}
    files = _ask(review, do="open", case="b")["files"]
    assert Path(files["segmentation"]).read_bytes() == mine
    assert json.loads(Path(files["text"]).read_text()) == {
        "format": "unibiomed.document/1", "text": "x", "spans": [], "segments": [], "edited": True,
    }  # fmt: skip
    assert [case["id"] for case in _ask(review, do="queue")["cases"]] == ["a"]
    assert _ask(review, do="undo")["decision"]["case"] == "b"
    assert Path(_ask(review, do="open", case="b")["files"]["segmentation"]).read_bytes() == before
    assert (review.catalogue.folder / "reviewed" / "b" / "0001" / SEGMENTATION).read_bytes() == mine


def test_a_second_correction_never_overwrites_the_first(review, tmp_path):
    sent = []
    for name in ("one", "two"):
        sent.append(_segmentation(tmp_path / "mine.seg.nrrd", name))
        _ask(review, do="correct", case="a", reviewer="R", segmentation=str(tmp_path / "mine.seg.nrrd"))
    kept = sorted((review.catalogue.folder / "reviewed" / "a").glob(f"*/{SEGMENTATION}"))
    assert [path.read_bytes() for path in kept] == sent


def test_corrections_of_one_case_at_the_same_time_are_both_kept(review, tmp_path, monkeypatch):
    """While one is written, another process gives its own the same number."""
    mine = _segmentation(tmp_path / "mine.seg.nrrd", "mine")
    others = review.catalogue.folder / "reviewed" / "a" / "0001" / SEGMENTATION
    copy = review_module.copy_compact

    def copy_late(source: Path, target: Path) -> None:
        if not others.exists():
            others.parent.mkdir(parents=True)
            others.write_bytes(b"of another reviewer")
        copy(source, target)

    monkeypatch.setattr(review_module, "copy_compact", copy_late)
    decision = review.correct("a", "R", tmp_path / "mine.seg.nrrd")
    assert decision.folder == "reviewed/a/0002"
    assert review.files("a").segmentation.read_bytes() == mine
    assert others.read_bytes() == b"of another reviewer"


def test_a_correction_that_cannot_be_written_is_told_once(review, tmp_path, monkeypatch):
    _segmentation(tmp_path / "mine.seg.nrrd", "mine")

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(review_module, "copy_compact", full)
    told = _ask(review, do="correct", case="a", reviewer="R", segmentation=str(tmp_path / "mine.seg.nrrd"))
    assert "the disk is full" in told["message"]
    assert review.catalogue.record("a").decision is None


def test_cases_come_in_pages_and_a_case_decided_twice_counts_once(review, monkeypatch):
    monkeypatch.setattr(conversation, "MOST_LISTED", 1)
    pages = [_ask(review, do="cases", first=first) for first in (0, 1, 2)]
    assert [[case["id"] for case in page["cases"]] for page in pages] == [["a"], ["b"], []]
    assert {page["total"] for page in pages} == {2}
    review.accept("a", "R")
    review.reject("a", "R")
    assert _ask(review, do="status")["reviewed"] == 1


def test_only_the_order_that_needs_embeddings_reads_them(review):
    for name, vector in (("a", (1.0, 0.0)), ("b", (0.0, 1.0))):
        outcome = replace(review.catalogue.record(name).outcome, embedding=np.array(vector, np.float32))
        review.catalogue.finish(name, outcome)
    for strategy in STRATEGIES:
        vectors = [record.outcome.embedding for record in review.queue(strategy)]
        assert [vector is not None for vector in vectors] == [strategy == "most-different"] * 2


def test_an_answer_passes_through_any_pipe(review):
    out = io.StringIO()
    converse(review, [json.dumps({"do": "open", "case": "Läsion"}) + "\n"], out)
    assert out.getvalue().isascii()
    assert "Läsion" in json.loads(out.getvalue())["message"]


def test_of_two_series_in_one_folder_each_case_names_the_first_file_of_its_own(tmp_path, torso_series):
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    prefix_of = {torso_series(cohort / "study", prefix): prefix for prefix in ("x", "y")}
    folder = tmp_path / "catalogue"
    with Catalogue.create(folder, cohort, Plan(), find_cases(cohort)) as catalogue:
        while (case := catalogue.claim()) is not None:
            (folder / AUTOMATIC / case.id).mkdir(parents=True)
            _segmentation(folder / AUTOMATIC / case.id / SEGMENTATION, "liver")
            catalogue.finish(case.id, Outcome(1.0, "m", "0" * 64, (), 0.5, 1))
        opened = [_ask(Review(catalogue), do="open", case=record.case.id) for record in catalogue.records()]
    assert len(opened) == 2
    for told in opened:
        assert Path(told["files"]["image"]) == cohort / "study"
        assert Path(told["files"]["first"]).name == f"{prefix_of[told['series_uid']]}0.dcm"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        ('{"do": "fly"}', "There is no request 'fly'"),
        ('{"do": "accept", "case": "a"}', "lacks 'reviewer'"),
        ('{"do": "accept", "case": "x", "reviewer": "R"}', "no case x"),
        ('{"do": "accept", "case": "a", "reviewer": " "}', "empty"),
        ('{"do": "queue", "strategy": "best"}', "no strategy"),
        ('{"do": "cases", "first": "a"}', "number of a case"),
        ('{"do": "cases", "first": -1}', "number of a case"),
        ('{"do": "correct", "case": "a", "reviewer": "R", "segmentation": "/nowhere"}', ".seg.nrrd"),
        ('{"do": "correct", "case": "a", "reviewer": "R"}', "holds a segmentation or a text"),
        ('{"do": "correct", "case": "a", "reviewer": "R", "text": "x"}', "JSON object with text and spans"),
        ('{"do": "open", "case": "\\ud83d"}', "a letter that is none"),
        ('{"do": "accept", "case": "a", "reviewer": "R \\ud83d"}', "a letter that is none"),
        ('{"do": "correct", "case": "a", "reviewer": "R", "text": {"text": "\\ud83d"}}', "text"),
        ('{"do": "draft", "case": "a", "reviewer": "\\ud83d", "text": {"text": "x"}}', "a letter that is none"),
        ('{"do": "draft", "case": "a", "reviewer": "R"}', "holds a segmentation or a text"),
        ('{"do": "draft", "case": "x", "reviewer": "R", "text": {"text": ""}}', "no case x"),
    ],
)
def test_a_wrong_line_is_answered_with_a_sentence_and_the_conversation_goes_on(review, line, said):
    out = io.StringIO()
    converse(review, [line + "\n", '{"id": 2, "do": "status"}\n'], out)
    first, second = (json.loads(text) for text in out.getvalue().splitlines())
    assert not first["ok"]
    assert said in first["message"]
    assert second["ok"]
    assert second["reviewed"] == 0
    assert not (review.catalogue.folder / "reviewed").exists()
