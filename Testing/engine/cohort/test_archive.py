# SPDX-License-Identifier: Apache-2.0
"""A cohort in a real DICOMweb archive (Orthanc): found, fetched, annotated, and the results filed with their study."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import requests
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)
from unibiomed.cli.app import run
from unibiomed.cohort.cases import Case
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.samples import samples
from unibiomed.cohort.review import Review
from unibiomed.errors import InputError
from unibiomed.phantoms import generate
from unibiomed.phantoms.volume import generate_volume
from unibiomed.volumes import read_volume
from unibiomed.volumes.modalities import base_modality
from unibiomed.volumes.reading_nrrd import read_segmentation

pytest.importorskip("dicomweb_client")
PLUGINS = Path("/usr/share/orthanc/plugins")
LOGIN = ("reader", "secret")
ORTHANC = shutil.which("Orthanc")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """Orthanc with its DICOMweb plugin on loopback, with a user of its own; ended by the test."""
    if ORTHANC is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        http, dicom = one.getsockname()[1], two.getsockname()[1]
    configuration = {
        "Name": "test", "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": http,
        "DicomPort": dicom, "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
        "RegisteredUsers": {"reader": "secret"}, "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    process = subprocess.Popen(
        [ORTHANC, str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{http}/dicom-web"
    try:
        for _ in range(300):
            try:
                if requests.get(f"{url}/studies", auth=LOGIN, timeout=2).ok:
                    break
            except requests.RequestException:
                time.sleep(0.1)
        else:
            pytest.fail("Orthanc did not start")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _series(
    folder: Path, kind: str = "CT", site: str = "abdomen", patient: str = "phantom", study: str | None = None
) -> list[Path]:
    """A phantom (``kind`` "CT" or "MRI-T1") as eight DICOM files with UIDs of their own, made up for the test."""
    phantom = generate_volume(kind, 5_530_000, (8, 96, 96), site=site)
    voxels = np.asarray(phantom.volume.array).astype(np.int16)
    is_ct = kind == "CT"
    study, series, frame = study or generate_uid(), generate_uid(), generate_uid()
    folder.mkdir(exist_ok=True)
    files = []
    for k, plane in enumerate(voxels):
        item = Dataset()
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.SOPClassUID, item.SOPInstanceUID = CTImageStorage if is_ct else MRImageStorage, generate_uid()
        item.StudyInstanceUID, item.SeriesInstanceUID, item.FrameOfReferenceUID = study, series, frame
        item.PatientID, item.PatientName, item.Modality = patient, "Phantom^Test", "CT" if is_ct else "MR"
        item.PatientBirthDate, item.PatientSex = "", ""
        item.StudyDate, item.StudyTime, item.StudyID, item.AccessionNumber = "20260101", "120000", "1", ""
        item.SeriesNumber, item.InstanceNumber, item.Manufacturer = 1, k + 1, ""
        item.ReferringPhysicianName, item.PositionReferenceIndicator = "", ""
        item.ImageOrientationPatient, item.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-120.0, -120.0, 5.0 * k]
        item.PixelSpacing, item.SliceThickness = [2.5, 2.5], 5.0
        item.Rows, item.Columns, item.SamplesPerPixel, item.PhotometricInterpretation = *plane.shape, 1, "MONOCHROME2"
        item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 16, 16, 15, 1
        item.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        if is_ct:
            item.RescaleIntercept, item.RescaleSlope = 0, 1
        item.PixelData = plane.astype("<i2").tobytes()
        files.append(folder / f"{k}.dcm")
        item.save_as(files[-1], enforce_file_format=True)
    return files


def _clip(folder: Path, patient: str, study: str) -> Path:
    """Three ultrasound pictures as the frames of one DICOM file."""
    frames = np.stack([generate("ultrasound", 5_531_000 + number, 160).image[..., 0] for number in range(3)])
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.SOPClassUID, item.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    item.StudyInstanceUID, item.SeriesInstanceUID, item.Modality = study, generate_uid(), "US"
    item.PatientID, item.PatientName, item.NumberOfFrames = patient, "Phantom^Test", len(frames)
    item.Rows, item.Columns, item.SamplesPerPixel = *frames.shape[1:], 1
    item.PhotometricInterpretation, item.PixelRepresentation = "MONOCHROME2", 0
    item.BitsAllocated, item.BitsStored, item.HighBit = 8, 8, 7
    item.PixelData = frames.tobytes()
    folder.mkdir(exist_ok=True)
    item.save_as(folder / "clip.dcm", enforce_file_format=True)
    return folder / "clip.dcm"


@pytest.fixture(scope="module")
def annotated(orthanc, tmp_path_factory):
    """A series in the archive, annotated from there by the command."""
    from unibiomed.cohort.archive import Archive

    folder = tmp_path_factory.mktemp("work")
    archive = Archive(orthanc, user=LOGIN)
    files = _series(folder)
    assert archive.store(files) == len(files)
    login = folder / "login"
    login.write_text(":".join(LOGIN))
    arguments = ["annotate", orthanc, "-o", str(folder / "cohort"), "-t", "liver", "--modality", "CT", "--quiet"]
    assert run([*arguments, "--match", "PatientID=phantom", "--user-file", str(login)]) == 0
    return archive, folder / "cohort", login


def test_series_of_the_archive_are_found_fetched_and_annotated(annotated):
    _, folder, _ = annotated
    with Catalogue(folder) as catalogue:
        counts = catalogue.counts()
        records = list(catalogue.records())
    assert counts["done"] == len(records) >= 1
    assert all((folder / record.case.path).is_dir() for record in records)


def test_seg_and_sr_come_back_from_the_archive_in_the_same_study_voxel_by_voxel(annotated, tmp_path):
    archive, folder, login = annotated
    with Catalogue(folder) as catalogue:
        record = next(catalogue.records())
        Review(catalogue).accept(record.case.id, "reader")
        files = Review(catalogue).files(record.case.id)
    assert run(["send", str(folder), archive.url, "--user-file", str(login), "--yes", "--quiet"]) == 0
    study = record.case.path.split("/")[1]
    answer = requests.get(f"{archive.url}/studies/{study}/series", auth=LOGIN, timeout=10)
    modalities = [entry["00080060"]["Value"][0] for entry in answer.json()]
    assert "SR" in modalities
    volume = read_volume(files.image, modality="MRI")
    wanted = read_segmentation(files.segmentation, volume.shape, volume.ijk_to_ras)
    assert [segment.name for segment in wanted.segments] == ["liver"]
    uid = next(entry["0020000E"]["Value"][0] for entry in answer.json() if entry["00080060"]["Value"][0] == "SEG")
    archive.fetch(Case("seg", "p", f"back/{study}/{uid}", uid), tmp_path)
    seg = highdicom.seg.segread(next((tmp_path / "back").rglob("*.dcm")))
    instances = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(files.image.glob("*.dcm"))]
    instances.sort(key=lambda item: float(item.ImagePositionPatient[2]))
    found = seg.get_pixels_by_source_instance(
        [item.SOPInstanceUID for item in instances], ignore_spatial_locations=True
    )
    assert np.array_equal(found[..., 0].astype(bool), wanted.segments[0].mask.to_full(volume.shape))


def test_the_series_of_one_study_go_by_their_own_modality(orthanc, tmp_path, monkeypatch):
    from unibiomed.cohort import archive
    from unibiomed.cohort.archive import Archive

    # Several requests, the last of them not full.
    monkeypatch.setattr(archive, "_TOGETHER", 6)

    study = generate_uid()
    files = [
        *_series(tmp_path / "ct", patient="three kinds", study=study),
        *_series(tmp_path / "mr", "MRI-T1", "brain", "three kinds", study),
        _clip(tmp_path / "us", "three kinds", study),
    ]
    assert Archive(orthanc, user=LOGIN).store(files) == len(files)
    login, plan, folder = tmp_path / "login", tmp_path / "plan.yaml", tmp_path / "cohort"
    login.write_text(":".join(LOGIN))
    plan.write_text(
        "device: cpu\nrules:\n  - {match: {dicom: CT}, targets: [liver]}\n  - {match: {dicom: MG}, site: breast}\n"
    )
    arguments = ["annotate", orthanc, "-o", str(folder), "--plan", str(plan), "--user-file", str(login)]
    arguments += ["--match", f"StudyInstanceUID={study}", "--quiet"]
    assert run([*arguments, "--plan-only"]) == 0
    assert not folder.exists()
    assert run(arguments) == 0
    with Catalogue(folder) as catalogue:
        assert catalogue.counts() == {"waiting": 0, "running": 0, "done": 3, "failed": 0}
        found = {record.case.dicom_modality: record for record in catalogue.records()}
        assert {record.case.patient for record in found.values()} == {next(iter(found.values())).case.patient}
        shape = next(sample for sample in samples(catalogue, "all", modality="ultrasound")).volume.shape
    ct, mr, us = (found[code].outcome for code in ("CT", "MR", "US"))
    assert (ct.reading.modality, ct.reading.rule, ct.reading.findings) == ("CT", 1, None)
    assert ct.prompts == ("<image>Please segment liver in abdomen CT.",)
    # Prompt-free, and what it is stands in the DICOM header alone.
    assert base_modality(mr.reading.modality) == "MRI"
    assert (mr.reading.site, mr.reading.rule) == ("brain", None)
    assert mr.reading.findings is not None
    assert (us.reading.modality, us.reading.rule) == ("ultrasound", None)
    assert shape == (3, 160, 160)


def test_a_wrong_password_and_a_dead_archive_are_told_in_one_sentence(orthanc):
    from unibiomed.cohort.archive import Archive

    with pytest.raises(InputError, match="401"):
        list(Archive(orthanc, user=("reader", "wrong")).series())
    with pytest.raises(InputError, match="cannot be reached"):
        list(Archive("http://127.0.0.1:9/dicom-web").series())
