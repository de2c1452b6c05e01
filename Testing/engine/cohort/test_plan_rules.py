# SPDX-License-Identifier: Apache-2.0
"""A plan that says different things for different cases, and what a case states by itself."""

from __future__ import annotations

import json
import sqlite3

import pytest
import yaml
from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import FILE, Catalogue
from unibiomed.cohort.plan import Plan, differs_for, plan_from, read_plan, write_plan
from unibiomed.cohort.preview import preview, warnings_of
from unibiomed.cohort.records import Outcome
from unibiomed.cohort.stated import bids_name
from unibiomed.cohort.unsaid import unknown_modality
from unibiomed.errors import InputError

RULES = """
site: abdomen
rules:
  - match: {dicom: us}
    site: heart
  - match: {bids: [anat, FLAIR]}
    modality: MRI
    site: brain
    targets: [tumor]
  - match: {path: "Skin/*.png"}
    modality: dermoscopy
    site: skin
    window: full
    targets: []
"""
# What the program wrote before plans had rules: the document, and its digest in the catalogues of that time.
OLD_PLAN = (
    '{"format":"unibiomed.plan/1","model":"mini","device":"auto","targets":["liver","spleen"],"modality":"CT",'
    '"site":"abdomen","window":"ct-abdomen","axis":null,"method":"slices","propagation":true,"anatomy":true,'
    '"clean":false,"outputs":["seg.nrrd","report"]}'
)
OLD_DIGEST = "2eb0085d37be66eea0f68baaf8aa698faf475f728dfebc7267cec9de7e244a89"
OLD_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE cases (
    id TEXT PRIMARY KEY, patient TEXT NOT NULL, path TEXT NOT NULL, series_uid TEXT,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', finished REAL, seconds REAL,
    model TEXT, weights_sha256 TEXT, plan_sha256 TEXT, prompts TEXT NOT NULL DEFAULT '[]',
    confidence REAL, disagreement REAL, segments INTEGER, embedding BLOB
);
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL REFERENCES cases (id),
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'corrected', 'rejected')),
    reviewer TEXT NOT NULL, at REAL NOT NULL, folder TEXT, note TEXT NOT NULL DEFAULT '', undone_at REAL
);
"""


def _case(path: str, dicom: str | None = None) -> Case:
    return Case(path.replace("/", "__"), "p", path, "1.2.3" if dicom else None, dicom)


@pytest.fixture
def plan() -> Plan:
    """Three rules over a plan that says a site for all."""
    return plan_from(yaml.safe_load(RULES), "the test")


def test_the_first_rule_that_matches_says_what_a_case_gets_and_the_plan_says_the_rest(plan):
    skin = plan.of(_case("skin/a b.PNG"))
    assert (skin.modality, skin.site, skin.window, skin.targets, skin.rules) == ("dermoscopy", "skin", "full", (), ())
    head = plan.of(_case("sub-1/anat/sub-1_T1w.nii.gz"))
    assert (head.modality, head.site, head.targets) == ("MRI", "brain", ("tumor",))
    assert plan.of(_case("clips/1", "US")).site == "heart"
    other = _case("series", "CT")
    assert (plan.rule_of(other), plan.of(other).site, plan.of(other).modality) == (None, "abdomen", None)
    first = plan_from({"rules": [{"match": {"path": "*"}, "site": "a"}, {"match": {"path": "x*"}, "site": "b"}]}, "p")
    assert first.of(_case("x.png")).site == "a"


def test_everything_that_a_match_gives_must_fit():
    plan = plan_from({"rules": [{"match": {"path": "west/*", "dicom": ["MR", "CT"]}, "site": "brain"}]}, "p")
    assert plan.rule_of(_case("west/1", "MR")) == 1
    assert plan.rule_of(_case("east/1", "MR")) is None
    assert plan.rule_of(_case("west/1", "US")) is None
    assert plan.rule_of(_case("west/1.png")) is None


@pytest.mark.parametrize(
    ("path", "modality"),
    [
        ("sub-1/anat/sub-1_T1w.nii.gz", "MRI-T1"),
        ("sub-1/anat/sub-1_ce-gadolinium_T1w.nii.gz", "MRI-T1-Gd"),
        ("sub-1_T2w.nii", "MRI-T2"),
        ("sub-1/func/sub-1_task-rest_bold.nii.gz", "MRI"),
        ("sub-1/dwi/sub-1_dwi.nii.gz", "MRI"),
        ("sub-1/anat/sub-1_FLAIR.nii.gz", "MRI-FLAIR"),
        ("sub-1/ct/sub-1_ct.nii.gz", "CT"),
        ("sub-1/pet/sub-1_pet.nii.gz", None),
        ("sub-1/micr/sub-1_photo.png", None),
        ("notbids_T1w.nii.gz", None),
        ("sub-1.png", None),
        ("photo.png", None),
    ],
)
def test_where_nothing_is_said_a_bids_name_states_the_modality(path, modality):
    assert bids_name(path).modality == modality
    assert Plan().of(_case(path)).modality == modality
    assert Plan(modality="OCT").of(_case(path)).modality == "OCT"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"rulez": []}, "there is no key 'rulez'"),
        ({"rules": [{"match": {"path": "x"}, "modality": "CT"}, {"match": {"pth": "x"}, "site": "y"}]}, "rule 2.match"),
        ({"rules": [{"match": {"path": "x"}, "modalty": "CT"}]}, "rule 1: there is no key 'modalty'; these are: match"),
        ({"rules": [{"match": {"path": "x"}}]}, "rule 1: the rule says nothing"),
        ({"rules": [{"match": {}, "modality": "CT"}]}, "rule 1.match: match needs"),
        ({"rules": [{"match": {"path": "x"}, "modality": "echo-ray"}]}, 'rule 1: the modality "echo-ray" is not known'),
        ({"rules": [{"match": {"path": "x"}, "targets": ["a", "a"]}]}, "a target stands twice"),
        ({"rules": [{"match": "*.png", "modality": "CT"}]}, "rule 1.match: a mapping is needed"),
        ({"rules": {"match": {}}}, "rules: a list is needed"),
        ({"targets": "liver"}, "targets: a list is needed"),
        ({"propagation": True}, "propagation needs targets"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_one_sentence_with_its_place(document, said, tmp_path):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(InputError) as error:
        read_plan(tmp_path / "plan.yaml")
    assert said in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "plan.yaml"))
    assert "\n" not in str(error.value)


def test_a_plan_with_rules_is_the_same_after_it_was_written_and_read(plan, tmp_path):
    write_plan(tmp_path / "plan.yaml", plan)
    again = read_plan(tmp_path / "plan.yaml")
    assert again == plan
    assert again.sha256 == plan.sha256
    assert plan_from(json.loads(plan.model_dump_json()), "p") == plan
    assert plan.sha256 != Plan(site="abdomen").sha256


def test_propagation_is_for_the_cases_with_targets_only():
    rules = [{"match": {"path": "*.png"}, "targets": ["polyp"]}]
    plan = plan_from({"propagation": True, "rules": rules}, "p")
    assert plan.of(_case("a.png")).propagation
    assert not plan.of(_case("a.nii")).propagation
    assert plan.all_targets == ("polyp",)


def test_a_plan_from_before_there_were_rules_keeps_its_digest():
    plan = plan_from(json.loads(OLD_PLAN), "p")
    assert plan.sha256 == OLD_DIGEST
    assert plan.model_dump_json() == OLD_PLAN


def test_a_catalogue_from_before_there_were_rules_opens_and_goes_on(tmp_path):
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript(OLD_TABLES)
    facts = {"format": "unibiomed.catalogue/1", "cohort": str(tmp_path), "plan": OLD_PLAN}
    connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
    done = ("a", "p", "a.nii", "done", 1.5, "m", "0", OLD_DIGEST, 0.5, 1)
    columns = "id, patient, path, state, seconds, model, weights_sha256, plan_sha256, confidence, segments"
    connection.execute(f"INSERT INTO cases ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", done)
    connection.execute("INSERT INTO cases (id, patient, path) VALUES ('b', 'p', 'b.nii')")
    connection.commit()
    connection.close()
    with Catalogue(tmp_path) as catalogue:
        assert catalogue.plan.sha256 == OLD_DIGEST
        assert catalogue.record("a").outcome.reading is None
        assert catalogue.add_cases([Case("b", "p", "b.nii"), Case("c", "p", "c.nii")]) == 1
        case = catalogue.claim()
        assert (case.id, case.dicom_modality) == ("b", None)
        catalogue.finish("b", Outcome(1.0, "m", "0", (), 0.5, 0))
    # Opened a second time, nothing is to be added any more.
    with Catalogue(tmp_path) as catalogue:
        assert catalogue.counts() == {"waiting": 1, "running": 0, "done": 2, "failed": 0}


def test_a_case_whose_modality_nobody_says_is_told_with_what_to_write():
    photo, clip = _case("skin/a.png"), _case("clips/1", "OT")
    sentence = unknown_modality(photo, Plan())
    assert "skin/a.png" in sentence
    assert "path: '*.png'" in sentence
    assert "modality_from_picture" in sentence
    assert "dicom: OT" in unknown_modality(clip, Plan())
    assert "path: '*.nii.gz'" in unknown_modality(_case("a.nii.gz"), Plan(targets=("liver",)))
    # Said by the plan, by each target, by the file, or left to the model: nothing is missing.
    assert not unknown_modality(photo, Plan(modality="dermoscopy"))
    assert not unknown_modality(photo, Plan(targets=("lesion in skin dermoscopy",)))
    assert unknown_modality(photo, Plan(targets=("lesion in skin dermoscopy", "mole")))
    assert not unknown_modality(_case("series", "MR"), Plan())
    assert not unknown_modality(photo, Plan(modality_from_picture=True))
    assert unknown_modality(photo, Plan(modality_from_picture=True, targets=("mole",)))


def test_a_preview_says_the_rule_of_each_case_and_which_rules_are_never_used(plan):
    document = plan.model_dump(mode="json")
    document["rules"] += [
        {"match": {"path": "skin/*"}, "site": "arm"},
        {"match": {"dicom": "XA"}, "site": "heart"},
    ]
    plan = plan_from(document, "p")
    rows = preview(plan, [_case("skin/a.png"), _case("sub-1_FLAIR.nii"), _case("c", "CT"), _case("x.png")])
    assert [row.rule for row in rows] == [3, 2, None, None]
    assert [row.modality for row in rows] == ["dermoscopy", "MRI", "CT", None]
    assert [bool(row.problem) for row in rows] == [False, False, False, True]
    said = warnings_of(plan, rows)
    assert [sentence.split(":")[0].split(" (")[0] for sentence in said[:3]] == ["Rule 1", "Rule 4", "Rule 5"]
    assert "no case matches it" in said[0]
    assert "rule 3 before it takes its cases" in said[1]
    assert said[3].startswith("1 of 4 cases would fail. Nothing says the modality of x.png")


def test_only_what_a_case_is_done_by_makes_a_plan_another_for_it():
    skin, series = _case("skin.png"), _case("series", "CT")
    plan = Plan(modality_from_picture=True)
    with_rule = plan_from({"modality_from_picture": True, "rules": [{"match": {"path": "*.png"}, "site": "skin"}]}, "p")
    assert differs_for(skin, plan, with_rule)
    assert not differs_for(series, plan, with_rule)
    assert not differs_for(series, plan, Plan(device="cuda"))
    assert differs_for(series, plan, Plan(outputs=("nifti",)))


def test_the_modality_of_dicom_is_added_to_a_catalogue_that_did_not_keep_it(tmp_path):
    before, after = Case("a", "p", "a", "1.2.3"), Case("a", "p", "a", "1.2.3", "MR")
    with Catalogue.create(tmp_path / "made", tmp_path, Plan(), [before]) as catalogue:
        assert catalogue.add_cases([after]) == 0
        assert catalogue.record("a").case == after
