# SPDX-License-Identifier: Apache-2.0
"""Exports by the real exporter, of phantoms annotated by Mini and corrected: each is read back and measured."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from unibiomed.cli.app import run
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.measure import reviewed_set
from unibiomed.cohort.review import Review
from unibiomed.evaluation.agreement import answer_of
from unibiomed.evaluation.agreement_page import PAGE, TABLE
from unibiomed.evaluation.export_facts import FACTS, read_facts
from unibiomed.evaluation.exported import Asked, ask, known_targets
from unibiomed.evaluation.reviewed.formats import read_export
from unibiomed.model import load
from unibiomed.phantoms import generate
from unibiomed.phantoms.volume import generate_volume
from unibiomed.volumes import read_volume
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

TARGETS = ("liver", "spleen", "liver tumor")
CASES = 4
SHAPE = (3, 128, 128)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> tuple[Path, dict[str, dict[str, np.ndarray]]]:
    """Four CT phantoms, two with an abnormality, asked for three targets; the reviewer leaves what is true."""
    root = tmp_path_factory.mktemp("cohort")
    truths = {}
    for number in range(CASES):
        phantom = generate_volume("CT", 5_720_000 + 2 * number, SHAPE, site="abdomen", abnormal=number < 2)
        voxels = np.asarray(phantom.volume.array).astype(np.int16)
        image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0), phantom.volume.ijk_to_ras)
        nibabel.save(image, root / f"sub-{number}_ct.nii.gz")
        masks = {name: phantom.masks[name].copy() for name in TARGETS if name in phantom.masks}
        # Without overlap, so that a label map can hold it all.
        for name in masks.keys() & {"liver tumor"}:
            masks["liver"] &= ~masks[name]
        truths[f"sub-{number}_ct"] = masks
    asked = [word for name in TARGETS for word in ("-t", name)]
    assert run(["annotate", str(root), *asked, "--modality", "CT", "--site", "abdomen", "--quiet"]) == 0
    folder = root / "derivatives" / "unibiomed"
    with Catalogue(folder) as catalogue:
        for case_id, masks in truths.items():
            volume = read_volume(root / f"{case_id}.nii.gz", modality="CT")
            segments = tuple(Segment(name, name, BoxMask.from_full(mask)) for name, mask in masks.items())
            saved = root / ".saved.seg.nrrd"
            write_segmentation(saved, Segmentation(volume.shape, volume.ijk_to_ras, segments), reference=volume)
            Review(catalogue).correct(case_id, "reader", saved)
    return folder, truths


@pytest.fixture(scope="module")
def exports(cohort, tmp_path_factory) -> dict[str, Path]:
    """Every format with images; half of the patients are the test split."""
    root, made = tmp_path_factory.mktemp("exports"), {}
    for kind in ("unibiomed", "nnunet", "decathlon", "parquet"):
        if kind == "parquet":
            pytest.importorskip("datasets")
        made[kind] = root / kind
        command = ["export", str(cohort[0]), "-o", str(made[kind]), "-f", kind, "--test", "0.5", "--validation", "0"]
        assert run([*command, "--quiet"]) == 0
    return made


@pytest.fixture(scope="module")
def mini():
    return load("mini", device="cpu")


def _masks(model, reviewed) -> Asked:
    return ask(model, reviewed, known_targets(model), 2.0, tasks=("segment",))


@pytest.fixture(scope="module")
def on_the_catalogue(cohort, mini) -> dict[tuple[str, str], tuple]:
    """(case, phrase) to what was measured on the catalogue."""
    with Catalogue(cohort[0]) as catalogue:
        reviewed = reviewed_set(catalogue)
    return {(one.case, one.phrase): (one.dice, one.nsd, one.hd95, one.found, one.confidence, one.patient)
            for one in _masks(mini, reviewed).answers}  # fmt: skip


@pytest.mark.parametrize("kind", ["nnunet", "decathlon"])
def test_volumes_measure_as_the_catalogue_does(kind, exports, on_the_catalogue, mini):
    for split in ("train", "test"):
        answers = _masks(mini, read_export(exports[kind], split, known_targets())).answers
        assert len(answers) == len(TARGETS) * CASES / 2
        for one in answers:
            measured = (one.dice, one.nsd, one.hd95, one.found, one.confidence, one.patient)
            assert measured == pytest.approx(on_the_catalogue[one.case, one.phrase])
        assert any(one.dice is None for one in answers) or split == "train"


@pytest.mark.parametrize("kind", ["unibiomed", "parquet"])
def test_pictures_carry_their_masks_phrases_and_size(kind, exports, cohort):
    found = read_export(exports[kind], "test", known_targets())
    facts = read_facts(exports[kind]).by_name()
    assert (found.unit, found.flat) == ("mm", True)
    assert len(found.cases) == CASES / 2
    for case in found.cases:
        truth = cohort[1][f"sub-{int(case.facts.name[-1]) - 1}_ct"]
        assert case.facts == facts[case.facts.name]
        assert set(case.phrases) == {f"{name} in abdomen CT" for name in TARGETS}
        opened = case.open()
        rows, columns, between = case.facts.picture_mm
        for name in TARGETS:
            phrase = f"{name} in abdomen CT"
            pixels = opened.areas([phrase]).get(phrase, {})
            drawn = sum(pixels.values()) * rows * columns * between
            source = read_volume(exports["nnunet"] / "imagesTs" / f"{case.facts.name}_0000.nii.gz")
            wanted = truth[name].sum() * np.prod(source.spacing) if name in truth else 0.0
            assert drawn == pytest.approx(wanted, rel=0.02)


def test_the_export_says_of_itself_what_its_format_cannot(exports, cohort):
    for kind, folder in exports.items():
        facts = read_facts(folder)
        assert len(facts.cases) == CASES, kind
        assert {case.how.site for case in facts.cases} == {"abdomen"}
        assert all(set(case.asked) == {f"{name} in abdomen CT" for name in TARGETS} for case in facts.cases)
        assert "sub-" not in (folder / FACTS).read_text()


def test_distances_of_pictures_are_in_millimetres(exports, mini):
    reviewed = read_export(exports["unibiomed"], "test", known_targets())
    answers = [one for one in _masks(mini, reviewed).answers if one.present and one.found]
    by_place = {(case.facts.name, shown.place): (case, shown) for case in reviewed.cases
                for opened in [case.open()] for shown in map(opened.picture, range(len(opened)))}  # fmt: skip
    one = answers[0]
    case, shown = by_place[one.case, one.place]
    mask = shown.masks[one.phrase]
    moved = np.roll(mask, 4, axis=1)
    distance = answer_of("", "", "", moved, mask, case.facts.picture_mm[:2], 2.0, 1.0).hd95
    assert distance == pytest.approx(4 * case.facts.picture_mm[1], rel=0.2)
    assert case.facts.picture_mm[1] > 1.5


def test_the_command_measures_and_compares_on_an_export(exports, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["evaluate", "--data", str(exports["nnunet"]), "--model", "mini", "--compare", "mini", "-o", str(out)]
    assert run([*command, "--pictures", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["format"] == "nnU-Net"
    assert document["settings"]["tolerance"] == "2 mm"
    figures = {one["figure"] for one in document["figures"][0]}
    assert {"target there or not, F1", "abnormal or not, accuracy", "VQA accuracy", "region exact match"} <= figures
    assert {one["figure"] for one in document["figures_b_minus_a"]} == figures
    assert all(one["paired"]["difference"]["value"] == 0.0 for one in document["figures_b_minus_a"])
    reasons = {one["figures"]: one["reason"] for one in document["not_measured"]}
    assert any("case report" in figures and "named targets" in reason for figures, reason in reasons.items())
    page = (out / PAGE).read_text(encoding="utf-8")
    assert "not measured" in page.lower()
    assert "only these abnormalities were looked for: liver tumor in abdomen CT" in page
    rows = list(csv.DictReader((out / TABLE).open()))
    assert {"UniBiomed-Mini", "mini", "B minus A"} == {row["model"] for row in rows}


def test_what_cannot_be_measured_is_told_in_one_sentence_before_a_model_is_loaded(exports, cohort, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(exports["nnunet"], broken)
    shutil.rmtree(broken / "labelsTs")
    out = ["-o", str(tmp_path / "out"), "--model", "there-is-no-such-model"]
    for folder, more, told in (
        (broken, (), "have no labels"),
        (exports["unibiomed"], ("--split", "validation"), "has no val.json"),
        (exports["nnunet"], ("--task", "describe"), "no task 'describe'"),
        (cohort[0], (), "measure on it with --catalogue"),
        (tmp_path, (), "is no data set"),
    ):
        assert run(["evaluate", "--data", str(folder), *more, *out]) == 2
        told_lines = capsys.readouterr().err.strip().splitlines()
        assert len(told_lines) == 1
        assert told in told_lines[0]
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """Two photographs of the skin, not square, so that the model sees them on a black frame."""
    root = tmp_path_factory.mktemp("photographs")
    masks = {}
    for number in range(2):
        phantom = generate("dermoscopy", 5_800_000 + number, 256, number == 0)
        Image.fromarray(phantom.image[:, :200]).save(root / f"sub-{number}_photo.png")
        masks[f"sub-{number}_photo"] = {name: mask[None, :, :200] for name, mask in phantom.masks.items()}
    assert run(["annotate", str(root), "-t", "melanoma", "--modality", "dermoscopy", "--quiet"]) == 0
    folder = root / "derivatives" / "unibiomed"
    with Catalogue(folder) as catalogue:
        for record in list(catalogue.records()):
            volume = read_volume(root / record.case.path, modality="dermoscopy")
            segments = tuple(Segment(n, n, BoxMask.from_full(mask)) for n, mask in masks[record.case.id].items())
            saved = root / ".saved.seg.nrrd"
            write_segmentation(saved, Segmentation(volume.shape, volume.ijk_to_ras, segments), reference=volume)
            Review(catalogue).correct(record.case.id, "reader", saved)
    return folder


@pytest.mark.parametrize("kind", ["nnunet", "decathlon", "unibiomed", "parquet"])
def test_a_photograph_measures_the_same_in_every_format(kind, photographs, mini, tmp_path):
    if kind == "parquet":
        pytest.importorskip("datasets")
    out = tmp_path / kind
    command = ["export", str(photographs), "-o", str(out), "-f", kind, "--test", "0", "--validation", "0", "--quiet"]
    assert run(command) == 0
    with Catalogue(photographs) as catalogue:
        wanted = ask(mini, reviewed_set(catalogue), known_targets(mini), 2.0)
    reviewed = read_export(out, "train", known_targets(mini))
    found = ask(mini, reviewed, known_targets(mini), 2.0)
    assert reviewed.unit == ("pixels" if reviewed.flat else "mm")
    dice = [{(one.case, one.phrase): one.dice for one in some.answers if one.present} for some in (wanted, found)]
    assert len(dice[0]) == 2
    assert dice[1] == pytest.approx(dice[0])
    assert min(dice[0].values()) > 0.5
    if kind != "unibiomed":
        # Every picture is there, so that the questions in words are the same.
        assert found.told == wanted.told
