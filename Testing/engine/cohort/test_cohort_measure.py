# SPDX-License-Identifier: Apache-2.0
"""A model against the reviewed volumes of a catalogue."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import nibabel
import numpy as np
import pytest
from unibiomed.cli.app import run
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.measure import ask_catalogue, reviewed_set
from unibiomed.cohort.review import Review
from unibiomed.errors import InputError
from unibiomed.evaluation.mask_metrics import dice
from unibiomed.model import load
from unibiomed.phantoms.volume import generate_volume
from unibiomed.volumes import read_volume
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

TARGETS = ("liver", "spleen")
CASES = 3


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory) -> tuple[Path, dict[str, dict[str, np.ndarray]]]:
    """Three CT phantoms annotated by Mini: two corrected to the truth, the last rejected."""
    root = tmp_path_factory.mktemp("measured")
    truths = {}
    for number in range(CASES):
        phantom = generate_volume("CT", 5_620_000 + number, (3, 128, 128), site="abdomen")
        image = nibabel.Nifti1Image(np.asarray(phantom.volume.array).transpose(2, 1, 0), phantom.volume.ijk_to_ras)
        nibabel.save(image, root / f"sub-{number}_ct.nii.gz")
        truths[f"sub-{number}_ct"] = {name: phantom.masks[name] for name in TARGETS if name in phantom.masks}
    # Without a site in the plan: the model's own phrases name it, what a reviewer adds does not.
    assert run(["annotate", str(root), "-t", "liver", "-t", "spleen", "--modality", "CT", "--quiet"]) == 0
    folder = root / "derivatives" / "unibiomed"
    with Catalogue(folder) as catalogue:
        review = Review(catalogue)
        for case_id in ("sub-0_ct", "sub-1_ct"):
            volume = read_volume(root / f"{case_id}.nii.gz", modality="CT")
            segments = tuple(Segment(n, n, BoxMask.from_full(mask)) for n, mask in truths[case_id].items())
            saved = root / ".saved.seg.nrrd"
            write_segmentation(saved, Segmentation(volume.shape, volume.ijk_to_ras, segments), reference=volume)
            review.correct(case_id, "reader", saved)
        review.reject("sub-2_ct", "reader")
    return folder, truths


def test_the_dice_is_that_of_what_the_model_drew_with_what_the_reviewer_left(reviewed):
    folder, truths = reviewed
    with Catalogue(folder) as catalogue:
        answers = ask_catalogue(load("mini", device="cpu"), catalogue, 2.0)
    assert {one.case for one in answers} == {"case-0001", "case-0002"}
    assert all(one.phrase in ("liver in abdomen CT", "spleen in abdomen CT") for one in answers)
    compared = 0
    for one in answers:
        case_id, target = f"sub-{int(one.case[-1]) - 1}_ct", one.phrase.split(" in ")[0]
        if target not in truths[case_id]:
            assert one.dice is None
            continue
        truth = truths[case_id][target]
        volume = read_volume(folder.parents[1] / f"{case_id}.nii.gz", modality="CT")
        path = folder / "automatic" / case_id / "segmentation.seg.nrrd"
        drawn = {
            s.target.split(" in ")[0]: s.mask for s in read_segmentation(path, volume.shape, volume.ijk_to_ras).segments
        }
        mask = drawn[target].to_full(volume.shape) if target in drawn else np.zeros(volume.shape, bool)
        assert one.dice == pytest.approx(dice(mask, truth))
        compared += 1
    assert compared >= 3


def test_a_split_without_a_case_is_refused_in_words(reviewed):
    with Catalogue(reviewed[0]) as catalogue, pytest.raises(InputError, match="no reviewed case in the split test"):
        ask_catalogue(None, catalogue, 2.0, split="test")


def test_the_command_compares_two_models_on_a_catalogue(reviewed, tmp_path, capsys):
    out = tmp_path / "out"
    code = run(["evaluate", "--catalogue", str(reviewed[0]), "--model", "mini", "--compare", "mini", "-o", str(out),
                "--tolerance", "3", "--json"])  # fmt: skip
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["tolerance"] == "3 mm"
    assert document["b_minus_a"][0]["dice"]["difference"]["value"] == 0.0
    assert [model["model"] for model in document["models"]] == ["UniBiomed-Mini", "mini"]
    assert (out / "agreement.html").is_file()


def test_the_command_refuses_options_that_do_not_go_together(reviewed, tmp_path, capsys):
    assert run(["evaluate", "--compare", "mini", "-o", str(tmp_path)]) == 2
    assert run(["evaluate", "--data", "a", "--catalogue", "b", "-o", str(tmp_path)]) == 2
    assert run(["evaluate", "--catalogue", str(reviewed[0]), "--split", "half", "-o", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_one_image_at_a_time_is_in_memory(reviewed):
    with Catalogue(reviewed[0]) as catalogue:
        cases = reviewed_set(catalogue).cases
    assert len(cases) == CASES - 1
    images = []
    for case in cases:
        opened = case.open()
        assert opened.volume.shape == (3, 128, 128)
        assert case.facts.name
        images.append(weakref.ref(opened.volume))
        gc.collect()
        assert [image() is not None for image in images] == [False] * (len(images) - 1) + [True]
