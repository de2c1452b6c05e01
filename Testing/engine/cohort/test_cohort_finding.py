# SPDX-License-Identifier: Apache-2.0
"""What is a case: the folders that people have, with copies, links, odd names and broken files in them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from pydicom.uid import generate_uid
from unibiomed.cli.app import run
from unibiomed.cohort.cases import Case, find_cases, look_through
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.errors import InputError
from unibiomed.volumes import read_volume


def _picture(path: Path, value: int = 9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (8, 8), value)
    image.putpixel((1, 1), 200)
    image.save(path)
    return path


def _read(root: Path, case: Case) -> str:
    """What reading the case says: its shape, or why not."""
    try:
        return str(read_volume(root / case.path, series_uid=case.series_uid).shape)
    except InputError as error:
        return str(error)


@pytest.fixture
def radiograph(data_dir) -> Path:
    """One DICOM picture."""
    return data_dir / "xray" / "ct_scout_chest.dcm"


def _copy_as_new_series(source: Path, target: Path, modality: str) -> Path:
    dataset = pydicom.dcmread(source)
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = modality
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)
    return target


def test_two_files_of_one_name_are_two_cases(tmp_path):
    _picture(tmp_path / "scan.png")
    _picture(tmp_path / "scan.jpg")
    _picture(tmp_path / "SCAN.tif")
    cases = find_cases(tmp_path)
    assert sorted(case.path for case in cases) == ["SCAN.tif", "scan.jpg", "scan.png"]
    assert len({case.id.lower() for case in cases}) == 3


def test_an_image_that_comes_later_takes_no_id_and_no_work_from_one_that_was_there(tmp_path):
    cohort, folder = tmp_path / "cohort", tmp_path / "catalogue"
    _picture(cohort / "scan.png")
    with Catalogue.create(folder, cohort, Plan(), find_cases(cohort)) as catalogue:
        _picture(cohort / "scan.bmp.jpg")
        _picture(cohort / "scan.jpg")
        assert catalogue.add_cases(find_cases(cohort)) == 2
        assert catalogue.add_cases(find_cases(cohort)) == 0
        paths = {record.case.id: record.case.path for record in catalogue.records()}
    assert paths["scan"] == "scan.png"
    assert sorted(paths.values()) == ["scan.bmp.jpg", "scan.jpg", "scan.png"]


def test_names_with_blanks_unicode_and_great_length_get_ids_that_folders_can_have(tmp_path):
    names = ["a b  c.png", "Läsion №7 肝.png", "x" * 240 + ".png", "trailing. .png", "100% (2).png", "'; DROP.png"]
    for name in names:
        _picture(tmp_path / "Ärzte & co" / name)
    cases = find_cases(tmp_path)
    assert sorted(Path(case.path).name for case in cases) == sorted(names)
    assert len({case.id for case in cases}) == len(names)
    for case in cases:
        assert case.id.isascii()
        assert len(case.id) <= 120
        assert not set(case.id) & set(" /\\:*?\"<>|%&';")
        (tmp_path / "made" / case.id).mkdir(parents=True)
        assert _read(tmp_path, case) == "(1, 8, 8)"


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="there, names are text")
def test_a_name_that_is_no_text_is_counted_and_hides_no_other(tmp_path):
    _picture(tmp_path / "good.png")
    shutil.copy(tmp_path / "good.png", os.fsencode(tmp_path) + b"/bad\xff.png")
    _picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/ward\xff/bed/a.png")))
    found = look_through(tmp_path)
    assert [case.id for case in found.cases] == ["good"]
    assert found.left_out == {"files whose name or folder is not valid Unicode": 2}
    with Catalogue.create(tmp_path / "catalogue", tmp_path, Plan(), found.cases) as catalogue:
        assert [record.case.path for record in catalogue.records()] == ["good.png"]
    with pytest.raises(InputError, match=r"ward\\udcff' is not valid Unicode"):
        look_through(Path(os.fsdecode(os.fsencode(tmp_path) + b"/ward\xff")))


def test_empty_cut_misnamed_and_foreign_files_are_cases_that_say_what_is_wrong(tmp_path, radiograph):
    (tmp_path / "empty.png").touch()
    whole = _picture(tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "picture.nii.gz").write_bytes(whole)
    (tmp_path / "text.nrrd").write_text("not an image")
    shutil.copy(radiograph, tmp_path / "dicom.png")
    said = {case.id: _read(tmp_path, case) for case in find_cases(tmp_path)}
    assert "empty (0 bytes)" in said["empty"]
    assert "cannot be read; the picture is damaged" in said["cut"]
    # The content counts, not the name.
    assert said["picture"] == said["whole"] == "(1, 8, 8)"
    assert "not an image" in said["text"]
    assert said["dicom"].startswith("(1, ")


def test_a_dicom_file_that_cannot_be_read_hides_no_series_beside_it(tmp_path, radiograph):
    _copy_as_new_series(radiograph, tmp_path / "ward" / "a.dcm", "CR")
    _copy_as_new_series(radiograph, tmp_path / "ward" / "b.dcm", "DX")
    (tmp_path / "ward" / "broken.dcm").write_bytes(b"\0" * 200)
    (tmp_path / "ward" / "empty.dcm").touch()
    said = {case.path: _read(tmp_path, case) for case in find_cases(tmp_path)}
    assert said["ward/a.dcm"].startswith("(1, ")
    assert said["ward/b.dcm"].startswith("(1, ")
    assert "cannot be read as DICOM" in said["ward/broken.dcm"]
    assert "empty" in said["ward/empty.dcm"]


def test_a_directory_file_at_the_top_makes_no_case_of_the_series_below_it(tmp_path, radiograph):
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 64)
    (tmp_path / "README").write_text("from the ward")
    for name in ("one", "two"):
        _copy_as_new_series(radiograph, tmp_path / "IMAGES" / name / "IM0", "CR")
    cases = find_cases(tmp_path)
    assert [case.path for case in cases] == ["IMAGES/one", "IMAGES/two"]
    assert {case.dicom_modality for case in cases} == {"CR"}


def test_a_copy_of_a_series_is_left_out_and_counted(tmp_path, radiograph):
    original = _copy_as_new_series(radiograph, tmp_path / "one" / "IM0", "CR")
    (tmp_path / "two").mkdir()
    shutil.copy(original, tmp_path / "two" / "IM7")
    found = look_through(tmp_path)
    assert [case.path for case in found.cases] == ["one"]
    assert found.left_out == {"copies of a DICOM series": 1}


def test_links_are_followed_out_of_the_cohort_and_nothing_comes_twice_or_for_ever(tmp_path):
    cohort, store = tmp_path / "cohort", tmp_path / "store"
    _picture(cohort / "own" / "a.png")
    _picture(store / "batch" / "b.png")
    _picture(store / "single.png")
    (cohort / "batch").symlink_to(store / "batch")
    (cohort / "c.png").symlink_to(store / "single.png")
    (cohort / "again").symlink_to(cohort / "own")
    (cohort / "second way").symlink_to(store / "batch")
    (cohort / "own" / "circle").symlink_to(cohort)
    (store / "batch" / "up").symlink_to(store)
    (cohort / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (cohort / "itself.png").symlink_to(cohort / "itself.png")
    cases = {case.path: case for case in find_cases(cohort)}
    assert sorted(cases) == ["batch/b.png", "c.png", "gone.png", "itself.png", "own/a.png"]
    assert _read(cohort, cases["batch/b.png"]) == _read(cohort, cases["c.png"]) == "(1, 8, 8)"
    for lost in ("gone.png", "itself.png"):
        assert "There is no file" in _read(cohort, cases[lost]) or "cannot be opened" in _read(cohort, cases[lost])


def test_clips_in_formats_that_are_not_read_are_counted_and_told(tmp_path, capsys):
    _picture(tmp_path / "a.png")
    (tmp_path / "sweep.MP4").touch()
    (tmp_path / "notes.txt").touch()
    assert look_through(tmp_path).left_out == {".mp4": 1}
    assert run(["annotate", str(tmp_path), "--plan-only"]) == 0
    assert "1 .mp4" in capsys.readouterr().err
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match=r"1 \.mp4"):
        find_cases(tmp_path)
