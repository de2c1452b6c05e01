# SPDX-License-Identifier: Apache-2.0
"""Work that is not decided: kept on disk, found again, never counted; killed writers, broken files, two reviewers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.conversation import answer
from unibiomed.cohort.drafts import DRAFTS
from unibiomed.cohort.export.samples import samples
from unibiomed.cohort.review import Review
from unibiomed.errors import InputError
from unibiomed.volumes import read_volume
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segment_heads import read_heads
from unibiomed.volumes.segmentation import Segmentation
from unibiomed.volumes.writing import write_segmentation


def _ask(review, **request) -> dict:
    return answer(review, json.dumps(request))


def _only(review, path: Path, *names: str) -> Path:
    """The segmentation of case ``a`` as it stands, with some of its segments left."""
    files = review.files("a")
    volume = read_volume(files.image, modality="CT")
    read = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras)
    kept = tuple(segment for segment in read.segments if segment.name in names)
    write_segmentation(path, Segmentation(volume.shape, volume.ijk_to_ras, kept), reference=volume)
    return path


def _names(opened) -> list[str]:
    return [head.name for head in read_heads(opened.files.segmentation)]


def test_a_draft_is_what_its_reviewer_finds_when_the_case_is_opened_again(grounded, tmp_path):
    standing = grounded.files("a").segmentation.read_bytes()
    mine = _only(grounded, tmp_path / "mine.seg.nrrd", "liver")
    told = _ask(grounded, do="draft", case="a", reviewer="A. Reader", segmentation=str(mine), text={"text": "So far."})
    assert told["ok"]
    assert told["draft"]["reviewer"] == "A. Reader"
    mine.unlink()
    opened = _ask(grounded, do="open", case="a", reviewer="A. Reader")
    assert (opened["report"]["text"], opened["report"]["author"]) == ("So far.", "reviewer")
    assert [head.name for head in read_heads(Path(opened["files"]["segmentation"]))] == ["liver"]
    assert opened["draft"]["segmentation"]
    assert opened["draft"]["text"]
    # What stands is as it was: for another reviewer, and for everything that reads the catalogue.
    assert grounded.files("a").segmentation.read_bytes() == standing
    assert grounded.files("a").text is None
    assert [case["drafts"] for case in _ask(grounded, do="queue")["cases"]] == [["A. Reader"], []]


def test_a_part_that_is_not_sent_stays_as_the_draft_before_has_it(grounded, tmp_path):
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"))
    grounded.draft("a", "R", text={"text": "A word."})
    opened = grounded.open("a", "R")
    assert (_names(opened), opened.report.text) == (["liver"], "A word.")
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "two.seg.nrrd", "spleen"))
    opened = grounded.open("a", "R")
    assert (_names(opened), opened.report.text) == (["spleen"], "A word.")
    folder = opened.files.segmentation.parent
    assert len(list(folder.iterdir())) == 2, "one segmentation and what is said of it, whatever was saved before"


def test_a_draft_is_no_decision_and_is_never_exported(grounded, tmp_path):
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"), text={"text": "x"})
    assert _ask(grounded, do="status")["reviewed"] == 0
    assert _ask(grounded, do="queue")["waiting"] == 2
    with pytest.raises(InputError, match="no case to export"):
        list(samples(grounded.catalogue))
    whole = next(sample for sample in samples(grounded.catalogue, "all", validation=0, test=0))
    assert len(whole.segmentation.segments) == 4
    assert whole.text.startswith("CT image")


@pytest.mark.parametrize("verdict", ["accept", "reject", "correct"])
def test_a_decision_closes_the_draft_and_undo_brings_the_work_back(grounded, tmp_path, verdict):
    mine = _only(grounded, tmp_path / "one.seg.nrrd", "liver")
    work = {"segmentation": str(mine), "text": {"text": "Mine."}}
    _ask(grounded, do="draft", case="a", reviewer="R", **work)
    sent = work if verdict == "correct" else {}
    assert _ask(grounded, do=verdict, case="a", reviewer="R", **sent)["ok"]
    opened = grounded.open("a", "R")
    assert opened.draft is None
    assert opened.report.text == ("Mine." if verdict == "correct" else grounded.open("b").report.text)
    assert _ask(grounded, do="undo")["decision"]["case"] == "a"
    opened = grounded.open("a", "R")
    assert (_names(opened), opened.report.text) == (["liver"], "Mine.")
    assert grounded.files("a").text is None, "what stands is what stood before"
    assert _ask(grounded, do="discard", case="a", reviewer="R")["discarded"]
    opened = grounded.open("a", "R")
    assert opened.draft is None
    assert len(_names(opened)) == 4
    assert opened.report.author == "model"


def test_a_correction_leaves_no_draft_on_the_disk(grounded, tmp_path):
    mine = _only(grounded, tmp_path / "one.seg.nrrd", "liver")
    grounded.draft("a", "R", segmentation=mine)
    grounded.correct("a", "R", segmentation=mine)
    assert not [path for path in (grounded.catalogue.folder / DRAFTS).rglob("*") if path.is_file()]


def test_a_correction_of_the_text_alone_does_not_delete_a_drawing_that_it_does_not_hold(grounded, tmp_path):
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"))
    grounded.correct("a", "R", text={"text": "x"})
    assert grounded.open("a", "R").draft is None
    grounded.undo()
    assert _names(grounded.open("a", "R")) == ["liver"]


def test_undo_of_a_correction_over_an_earlier_one_shows_the_work_and_lets_the_earlier_text_stand(grounded):
    grounded.correct("a", "R", text={"text": "First."})
    grounded.correct("a", "R", text={"text": "Second."})
    grounded.undo()
    assert grounded.open("a", "R").report.text == "Second."
    assert grounded.open("a", "R", with_draft=False).report.text == "First."
    assert grounded.open("a").report.text == "First."


def test_undo_brings_work_back_also_where_an_older_draft_was_closed_before(grounded, tmp_path):
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"))
    grounded.reject("a", "R")
    grounded.correct("a", "R", text={"text": "Of use after all."})
    grounded.undo()
    assert grounded.open("a", "R").report.text == "Of use after all."


def test_undo_of_a_reviewer_leaves_what_another_one_decided_since(grounded):
    grounded.correct("a", "A. Reader", text={"text": "Of A."})
    grounded.accept("b", "B. Reader")
    assert _ask(grounded, do="undo", reviewer="A. Reader")["decision"]["case"] == "a"
    assert grounded.catalogue.record("a").decision is None
    assert grounded.catalogue.record("b").decision.reviewer == "B. Reader"
    assert grounded.open("a", "A. Reader").report.text == "Of A."
    assert _ask(grounded, do="undo", reviewer="A. Reader")["decision"] is None
    assert _ask(grounded, do="undo")["decision"]["reviewer"] == "B. Reader"


def test_work_after_a_decision_is_a_draft_again(grounded):
    grounded.accept("a", "R")
    grounded.draft("a", "R", text={"text": "A second look."})
    assert grounded.open("a", "R").report.text == "A second look."
    grounded.undo()
    assert grounded.open("a", "R").report.text == "A second look."


def test_two_reviewers_keep_drafts_of_their_own_and_know_of_each_other(grounded):
    grounded.draft("a", "A. Reader", text={"text": "Of A."})
    grounded.draft("a", "B. Reader", text={"text": "Of B."})
    told = _ask(grounded, do="open", case="a", reviewer="A. Reader")
    assert told["report"]["text"] == "Of A."
    assert [draft["reviewer"] for draft in told["others"]] == ["B. Reader"]
    grounded.correct("a", "A. Reader", text={"text": "Decided by A."})
    told = _ask(grounded, do="open", case="a", reviewer="B. Reader")
    assert told["report"]["text"] == "Of B.", "the decision of another one takes no work away"
    assert told["case"]["reviewer"] == "A. Reader"
    third = _ask(grounded, do="open", case="a", reviewer="C")
    assert (third["report"]["text"], third["draft"]) == ("Decided by A.", None)


def test_work_begun_before_a_name_was_given_goes_on_under_the_name(grounded, tmp_path):
    grounded.draft("a", "", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"))
    opened = grounded.open("a", "R")
    assert _names(opened) == ["liver"]
    grounded.draft("a", "R", text={"text": "x"})
    opened = grounded.open("a", "R")
    assert (_names(opened), opened.report.text, opened.draft.reviewer) == (["liver"], "x", "R")
    assert grounded.open("a", "Another").draft is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "draft.json").write_text("{"),
        lambda folder: (folder / "draft.json").write_text("[]"),
        lambda folder: (folder / "draft.json").write_text('{"format": "unibiomed.draft/9"}'),
        lambda folder: next(folder.glob("*.seg.nrrd")).unlink(),
        lambda folder: next(folder.glob("*.seg.nrrd")).write_bytes(b"torn"),
        lambda folder: next(folder.glob("*.seg.nrrd")).write_bytes(b""),
        lambda folder: _edit(folder / "draft.json", text={"text": 5}),
        lambda folder: _edit(folder / "draft.json", segmentation="../../../secret.seg.nrrd"),
    ],
)
def test_a_broken_draft_is_told_left_out_and_kept_aside_when_the_next_is_saved(grounded, tmp_path, damage):
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"), text={"text": "x"})
    folder = grounded.open("a", "R").files.segmentation.parent
    damage(folder)
    told = _ask(grounded, do="open", case="a", reviewer="R")
    assert told["ok"]
    assert told["draft"] is None
    assert told["problem"]
    assert "\n" not in told["problem"]
    assert told["report"]["author"] == "model"
    grounded.draft("a", "R", text={"text": "Anew."})
    told = _ask(grounded, do="open", case="a", reviewer="R")
    assert (told["report"]["text"], told["problem"]) == ("Anew.", "")
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.broken-1"}
    assert told["others"] == []


def _edit(path: Path, **fields) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_broken_draft_of_nobody_keeps_no_one_from_saving(grounded):
    grounded.draft("a", "", text={"text": "Before a name was given."})
    folder = next((grounded.catalogue.folder / DRAFTS / "a").iterdir())
    (folder / "draft.json").write_text("{")
    assert _ask(grounded, do="draft", case="a", reviewer="R", text={"text": "Mine."})["ok"]
    opened = grounded.open("a", "R")
    assert (opened.report.text, opened.problem) == ("Mine.", "")
    assert (folder.with_name(f"{folder.name}.broken-1") / "draft.json").read_text() == "{"


def test_a_draft_that_was_set_aside_and_can_be_read_again_is_no_other_reviewers(grounded):
    grounded.draft("a", "R", text={"text": "Of an unsteady disk."})
    folder = next((grounded.catalogue.folder / DRAFTS / "a").iterdir())
    folder.rename(folder.with_name(f"{folder.name}.broken-1"))
    assert grounded.open("a", "R").others == ()
    assert _ask(grounded, do="queue")["cases"][0]["drafts"] == []


KILLED = """
import os, signal, sys
from pathlib import Path
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.review import Review

left = int(sys.argv[3])
replace = Path.replace

def killed(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return replace(self, target)

Path.replace = killed
with Catalogue(Path(sys.argv[1])) as catalogue:
    Review(catalogue).draft("a", "R", segmentation=Path(sys.argv[2]), text={"text": "New."})
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("renames", [0, 1])
def test_a_writer_killed_between_write_and_rename_leaves_the_draft_before_it(grounded, tmp_path, renames):
    """``renames`` 0: before the new segmentation has its name, 1: before the draft names it."""
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"), text={"text": "Old."})
    new = _only(grounded, tmp_path / "two.seg.nrrd", "spleen")
    folder = grounded.catalogue.folder
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(new), str(renames)], check=False)
    assert ended.returncode == -signal.SIGKILL
    opened = grounded.open("a", "R")
    assert (_names(opened), opened.report.text, opened.problem) == (["liver"], "Old.", "")
    grounded.draft("a", "R", segmentation=new, text={"text": "New."})
    opened = grounded.open("a", "R")
    assert (_names(opened), opened.report.text) == (["spleen"], "New.")
    assert len(list(opened.files.segmentation.parent.iterdir())) == 2, "what the killed one left is gone"


def test_a_draft_outlives_the_process_and_the_annotation_done_again(grounded, tmp_path):
    grounded.draft("a", "R", segmentation=_only(grounded, tmp_path / "one.seg.nrrd", "liver"), text={"text": "Mine."})
    catalogue = grounded.catalogue
    before = catalogue.record("a").outcome
    catalogue.wait_again(["done"])
    assert not _ask(grounded, do="open", case="a", reviewer="R")["ok"]
    while (case := catalogue.claim()) is not None:
        catalogue.finish(case.id, before)
    with Catalogue(catalogue.folder) as again:
        opened = Review(again).open("a", "R")
        assert (_names(opened), opened.report.text) == (["liver"], "Mine.")
