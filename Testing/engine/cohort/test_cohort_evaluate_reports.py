# SPDX-License-Identifier: Apache-2.0
"""A prompt-free cohort, its reports accepted or rewritten: the reading of whole cases against what stands."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from unibiomed.cli.app import run
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.measure import reviewed_set
from unibiomed.cohort.review import Review
from unibiomed.evaluation.export_facts import read_facts
from unibiomed.evaluation.exported import ask, known_targets
from unibiomed.evaluation.reviewed.formats import read_export
from unibiomed.evaluation.text_metrics import bleu, plain_text, rouge_l
from unibiomed.model import load
from unibiomed.phantoms.volume import generate_volume

REWRITTEN = "CT image of the abdomen. It shows the liver and the spleen.\nNothing found: the kidneys are normal."


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Two CT phantoms read without a prompt; the first report is accepted, the second rewritten."""
    root = tmp_path_factory.mktemp("free")
    for number in range(2):
        phantom = generate_volume("CT", 5_730_000 + number, (2, 128, 128), site="abdomen", abnormal=number == 0)
        voxels = np.asarray(phantom.volume.array).astype(np.int16)
        image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), phantom.volume.ijk_to_ras)
        nibabel.save(image, root / f"sub-{number}_ct.nii.gz")
    assert run(["annotate", str(root), "--modality", "CT", "--site", "abdomen", "--quiet"]) == 0
    folder = root / "derivatives" / "unibiomed"
    with Catalogue(folder) as catalogue:
        review = Review(catalogue)
        review.accept("sub-0_ct", "reader")
        review.correct("sub-1_ct", "reader", text={"text": REWRITTEN})
    return folder


@pytest.fixture(scope="module")
def mini():
    return load("mini", device="cpu")


def _reports(model, reviewed) -> dict[tuple[str, str], tuple[float, ...]]:
    asked = ask(model, reviewed, known_targets(model), 2.0, tasks=("report",), pictures=1)
    return {(one.case, one.figure): one.values for one in asked.told if one.place == ""}


@pytest.mark.parametrize("kind", ["nnunet", "parquet"])
def test_a_case_is_read_again_and_held_against_what_stands(kind, cohort, mini, tmp_path):
    out = tmp_path / kind
    if kind == "parquet":
        pytest.importorskip("datasets")
    command = ["export", str(cohort), "-o", str(out), "-f", kind, "--test", "0", "--validation", "0", "--quiet"]
    assert run(command) == 0
    facts = read_facts(out).by_name()
    assert all(case.prompt_free and case.text_stands for case in facts.values())
    assert facts["case-0002"].text == REWRITTEN
    told = _reports(mini, read_export(out, "train", known_targets()))
    assert told["case-0001", "case abnormal or not, accuracy"][1] == 1.0
    if kind == "nnunet":
        # The same model on the same voxels writes what it wrote, and draws what was accepted.
        assert told["case-0001", "case report ROUGE-L"] == (1.0, 1.0)
        above, below = told["case-0001", "case report phrase F1"]
        assert above == below > 0
    text = json.loads((cohort / "automatic" / "sub-1_ct" / "result.json").read_text())["text"]
    wanted = rouge_l(plain_text(text), plain_text(REWRITTEN))
    assert 0.2 < wanted < 0.9
    found = told["case-0002", "case report ROUGE-L"][0]
    # Of the pictures alone the volumes that the text tells may differ a little.
    assert found == pytest.approx(wanted, abs=1e-9 if kind == "nnunet" else 0.2)


def test_figures_of_reports_are_those_of_their_texts(cohort, mini, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["evaluate", "--catalogue", str(cohort), "--task", "report", "--pictures", "1", "-o", str(out), "--json"]
    assert run(command) == 0
    document = json.loads(capsys.readouterr().out)
    figures = {one["figure"]: one["estimate"] for one in document["figures"][0]}
    with Catalogue(cohort) as catalogue:
        true = [case.facts.text for case in reviewed_set(catalogue).cases]
    texts = [json.loads((cohort / "automatic" / f"sub-{n}_ct" / "result.json").read_text())["text"] for n in range(2)]
    plain = [[plain_text(text) for text in some] for some in (texts, true)]
    assert figures["case report BLEU"]["value"] == pytest.approx(bleu(*plain).value)
    alike = [rouge_l(said, meant) for said, meant in zip(*plain, strict=True)]
    assert figures["case report ROUGE-L"]["value"] == pytest.approx(np.mean(alike))
    assert figures["case report BLEU"]["patients"] == 2
    assert {"target there or not, F1", "region exact match"} & set(figures) == set()
    reasons = " ".join(f"{one['figures']}: {one['reason']}" for one in document["not_measured"])
    assert "region exact match: the task region was not asked for" in reasons
    assert (out / "agreement.html").is_file()


def test_pictures_of_a_prompt_free_case_say_what_is_abnormal(cohort, mini, tmp_path):
    out = tmp_path / "pictures"
    command = ["export", str(cohort), "-o", str(out), "--test", "0", "--validation", "0", "--quiet"]
    assert run(command) == 0
    asked = ask(
        mini, read_export(out, "train", known_targets()), known_targets(mini), 2.0, tasks=("recognise", "report")
    )
    figures = {one.figure for one in asked.told}
    assert {"abnormal or not, accuracy", "recognition accuracy, healthy", "report phrase F1"} <= figures
    assert not any(one.figure.startswith("case ") for one in asked.told)
