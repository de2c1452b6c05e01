# SPDX-License-Identifier: Apache-2.0
"""A small cohort with grounded reports: torsos read by a model that knows their grey values."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from unibiomed.cohort.annotate import AUTOMATIC, RESULT, SEGMENTATION
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.records import Outcome
from unibiomed.cohort.review import Review
from unibiomed.tasks import interpret
from unibiomed.tasks.outputs.segmentation import to_segmentation
from unibiomed.tasks.schema import to_text
from unibiomed.volumes import read_volume
from unibiomed.volumes.writing import write_segmentation

WINDOW = "255/127.5"  # grey values stay as they are
FAKES = Path(__file__).resolve().parents[1] / "tasks"


def _module(name: str):
    """A file of the tests of the tasks as a module of its own name here."""
    known = f"unibiomed_cohort_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, FAKES / f"{name}.py")
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]


def write_series(folder: Path, voxels: np.ndarray, prefix: str = "") -> str:
    """An array [k, j, i] as the DICOM files of one series, with UIDs of its own; returns the UID of the series."""
    folder.mkdir(exist_ok=True)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for k, plane in enumerate(voxels):
        item = Dataset()
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.SOPClassUID, item.SOPInstanceUID = CTImageStorage, generate_uid()
        item.StudyInstanceUID, item.SeriesInstanceUID, item.FrameOfReferenceUID = study, series, frame
        item.PatientID, item.PatientName, item.PatientBirthDate, item.PatientSex = "torso", "Torso^T", "", ""
        item.StudyDate, item.StudyTime, item.StudyID, item.AccessionNumber = "20260101", "120000", "1", ""
        item.Modality, item.SeriesNumber, item.InstanceNumber, item.Manufacturer = "CT", 1, k + 1, ""
        item.ReferringPhysicianName, item.PositionReferenceIndicator = "", ""
        item.ImageOrientationPatient, item.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-40.0, -40.0, 3.0 * k]
        item.PixelSpacing, item.SliceThickness = [2.0, 2.0], 3.0
        item.Rows, item.Columns, item.SamplesPerPixel, item.PhotometricInterpretation = *plane.shape, 1, "MONOCHROME2"
        item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 16, 16, 15, 1
        item.RescaleIntercept, item.RescaleSlope, item.ImageType = 0, 1, ["DERIVED", "SECONDARY", "AXIAL"]
        item.PixelData = plane.astype("<i2").tobytes()
        item.save_as(folder / f"{prefix}{k}.dcm", enforce_file_format=True)
    return series


def make_grounded(root: Path, names: tuple[str, ...] = ("a", "b"), dicom: bool = False) -> Path:
    """A catalogue of torsos, one a name: liver, spleen and two tumours in the liver, with a sentence about them."""
    model, torso = _module("fakes").FakeModel(), _module("conftest").torso_array()
    root.mkdir()
    for name in names:
        if dicom:
            write_series(root / name, torso)
            continue
        image = nibabel.Nifti1Image(torso.transpose(2, 1, 0), np.diag([-2.0, -2.0, 3.0, 1.0]))
        nibabel.save(image, root / f"{name}.nii.gz")
    folder = root / "derivatives" / "unibiomed"
    plan = Plan(modality="CT", window=WINDOW)
    with Catalogue.create(folder, root, plan, find_cases(root)) as catalogue:
        while (case := catalogue.claim()) is not None:
            volume = read_volume(root / case.path, modality="CT", series_uid=case.series_uid)
            result = interpret(model, volume, window=WINDOW)
            automatic = folder / AUTOMATIC / case.id
            automatic.mkdir(parents=True)
            write_segmentation(automatic / SEGMENTATION, to_segmentation(result, volume), reference=volume)
            (automatic / RESULT).write_text(to_text(result), encoding="utf-8")
            catalogue.finish(case.id, Outcome(1.0, "fake", "0" * 64, (), 0.5, len(result.segments)))
    return folder


@pytest.fixture
def grounded(tmp_path) -> Iterator[Review]:
    """A review of two torsos, ``a`` and ``b``."""
    with Catalogue(make_grounded(tmp_path / "torsos")) as catalogue:
        yield Review(catalogue)


@pytest.fixture(scope="session")
def torso_series():
    """``torso_series(folder, prefix)`` writes a DICOM series into a folder and returns its UID."""
    return lambda folder, prefix: write_series(folder, _module("conftest").torso_array(), prefix)


@pytest.fixture(scope="session")
def grounded_cohort():
    """``grounded_cohort(root, names, dicom=False)`` makes such a catalogue and returns its folder."""
    return make_grounded
