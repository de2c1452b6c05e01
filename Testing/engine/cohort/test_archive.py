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
import pytest
import requests
from unibiomed.cli.app import run
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.review import Review
from unibiomed.errors import InputError
from unibiomed.volumes import read_volume
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


@pytest.fixture(scope="module")
def annotated(orthanc, shared_dir, tmp_path_factory):
    """The MR series of the shared data in the archive, annotated from there by the command."""
    from unibiomed.cohort.archive import Archive

    source = shared_dir / "data" / "mr_oblique_dicom"
    archive = Archive(orthanc, user=LOGIN)
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix.lower() in (".dcm", "")]
    for file in files:
        content = file.read_bytes()
        requests.post(
            f"{orthanc.removesuffix('/dicom-web')}/instances", data=content, auth=LOGIN, timeout=30
        ).raise_for_status()
    folder = tmp_path_factory.mktemp("work")
    login = folder / "login"
    login.write_text("reader:secret")
    arguments = ["annotate", orthanc, "-o", str(folder / "cohort"), "-t", "brain", "--modality", "MRI", "--quiet"]
    assert run([*arguments, "--user-file", str(login)]) == 0
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
    if not wanted.segments:
        return
    uid = next(entry["0020000E"]["Value"][0] for entry in answer.json() if entry["00080060"]["Value"][0] == "SEG")
    dataset = archive._client.retrieve_series(study, uid)[0]
    found = highdicom.seg.Segmentation.from_dataset(dataset).get_volume(
        combine_segments=False, allow_missing_positions=True
    )
    full = wanted.segments[0].mask.to_full(volume.shape)
    assert int(np.asarray(found.array[..., 0]).sum()) == int(full.sum())


def test_a_wrong_password_and_a_dead_archive_are_told_in_one_sentence(orthanc):
    from unibiomed.cohort.archive import Archive

    with pytest.raises(InputError, match="401"):
        list(Archive(orthanc, user=("reader", "wrong")).series())
    with pytest.raises(InputError, match="cannot be reached"):
        list(Archive("http://127.0.0.1:9/dicom-web").series())
