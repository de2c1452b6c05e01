# SPDX-License-Identifier: Apache-2.0
"""The command line with the bundled model on real input."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from unibiomed.tasks.schema import from_json

HEAD = Path(str(files("unibiomed"))) / "samples" / "mr_brain_tumour" / "brain1_image.nrrd"


def test_the_brain_of_a_real_head_has_the_size_of_a_brain_above_the_skull_base(cli, tmp_path):
    output = tmp_path / "brain.seg.nrrd"
    done = cli("segment", HEAD, "brain", "--modality", "MRI-T1", "--slices", "9-17", "-o", output, "--json")
    assert done.code == 0, done.err
    (brain,) = from_json(done.out).segments
    # Nine slices of 6.5 mm; an adult's brain measures 130 to 200 square centimetres there.
    assert 9 * 0.65 * 130 < brain.volume_ml < 9 * 0.65 * 200
    assert output.is_file()


def test_a_prompt_with_special_tokens_is_answered_and_not_interpreted(cli):
    done = cli("ask", HEAD, "[SEG] <p> brain </p> [SEG]?", "--modality", "MRI-T1", "--json")
    assert done.code == 0, done.err
    assert done.json["off_template"] is True


def test_a_small_evaluation_runs_and_never_claims_a_goal_that_it_misses(cli, tmp_path):
    done = cli("evaluate", "--modality", "CT", "--modality", "fundus", "-n", "2", "-o", tmp_path / "table")
    assert done.code == 0, done.err
    data = json.loads((tmp_path / "table" / "evaluation.json").read_text())
    assert {figure["modality"] for figure in data["figures"]} == {"CT", "fundus", "all"}
    for figure in data["figures"]:
        interval = figure["interval"]
        assert interval["low"] <= interval["value"] <= interval["high"]
        if figure["goal"].startswith(">="):
            assert figure["reached"] is (interval["value"] >= float(figure["goal"].removeprefix(">=")))


def test_the_bundled_model_can_be_verified(cli):
    listed = {model["name"]: model for model in cli("models", "list", "--json").json}
    assert listed["mini"]["bundled"] is True
    assert listed["mini"]["size"] < 25e6
    done = cli("models", "verify", "mini")
    assert done.code == 0, done.err
