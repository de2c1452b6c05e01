# SPDX-License-Identifier: Apache-2.0
"""Training from the cohort page: the real commands, a few steps, on reviewed phantoms."""

from __future__ import annotations

import sys

import nibabel
import numpy as np
import pytest
from unibiomed.cohort.annotate import Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.review import Review
from unibiomed.cohort.run import annotate_here, work
from unibiomed.model import load
from unibiomed.phantoms.volume import generate_volume

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """Five CT phantoms of five patients, annotated by Mini and accepted."""
    root = tmp_path_factory.mktemp("study")
    for number in range(5):
        phantom = generate_volume("CT", 5_550_000 + number, (2, 96, 96), site="abdomen")
        voxels = np.asarray(phantom.volume.array).astype(np.int16).transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(voxels, phantom.volume.ijk_to_ras), root / f"case{number}.nii.gz")
    folder = root / "derivatives" / "unibiomed"
    plan = Plan(targets=("liver",), modality="CT", site="abdomen")
    with Catalogue.create(folder, root, plan, find_cases(root)) as opened:
        work(opened, annotate_here(Annotator(load("mini"), plan, root, folder)), lambda e: None, lambda: False)
        for record in list(opened.records()):
            Review(opened).accept(record.case.id, "reader")
    return folder


def test_train_compare_and_use_a_model_that_appears_in_the_list(host, reviewed, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIBIOMED_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    host.useLibrary()
    from UniBiomedSlicerLib.CohortTrainingPanel import CohortTrainingPanel
    from UniBiomedSlicerLib.Settings import settings

    panel = CohortTrainingPanel(settings())
    panel.open(str(reviewed), sys.executable)
    told = []
    panel.training.progressed.connect(lambda text, fraction: told.append((text, fraction)))
    panel.ui.stepsSpin.setValue(2)
    assert not panel.ui.useButton.enabled
    host.click(panel.ui.trainButton)
    assert panel.ui.stopButton.enabled
    host.spin(until=lambda: not panel.training.isRunning(), timeout=280)
    host.spin()
    assert panel.ui.resultLabel.text.endswith("is trained and in the list of models.")
    name = panel.training.trained
    assert (tmp_path / "models" / name / "model.safetensors").is_file()
    assert any(fraction == 1.0 for _, fraction in told)

    host.click(panel.ui.compareButton)
    host.spin(until=lambda: not panel.training.isRunning(), timeout=280)
    host.spin()
    assert "before" in panel.ui.resultLabel.text, panel.ui.resultLabel.text
    host.click(panel.ui.useButton)
    assert settings().model == name
    assert not panel.ui.useButton.enabled
    panel.cleanup()


def test_a_folder_that_cannot_be_exported_is_told_in_one_sentence(host, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIBIOMED_MODELS", str(tmp_path / "models"))
    host.useLibrary()
    from UniBiomedSlicerLib.CohortTrainingPanel import CohortTrainingPanel
    from UniBiomedSlicerLib.Settings import settings

    panel = CohortTrainingPanel(settings())
    (tmp_path / "nothing").mkdir()
    panel.open(str(tmp_path / "nothing"), sys.executable)
    host.click(panel.ui.trainButton)
    host.spin(until=lambda: not panel.training.isRunning(), timeout=100)
    host.spin()
    assert "holds no catalogue" in panel.ui.resultLabel.text
    panel.cleanup()
