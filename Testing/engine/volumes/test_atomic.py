# SPDX-License-Identifier: Apache-2.0
"""Files appear complete or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from unibiomed.errors import OutputError
from unibiomed.volumes import Volume, read_volume
from unibiomed.volumes.atomic import atomic_folder, atomic_path
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_file_appears_at_the_end_with_its_ending_kept_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "head.seg.nrrd"
    with atomic_path(target) as temporary:
        assert temporary.name.endswith(".seg.nrrd")
        temporary.write_text("done")
        assert not target.exists()
    assert target.read_text() == "done"
    assert left_in(tmp_path) == ["head.seg.nrrd", "new"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "old.txt"
    target.write_text("old")

    def interrupted(path: Path) -> None:
        path.write_text("half")
        raise failure

    with pytest.raises(failure), atomic_path(target) as temporary:
        interrupted(temporary)
    assert target.read_text() == "old"
    assert left_in(tmp_path) == ["old.txt"]


def test_folders_made_for_a_failed_file_are_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), atomic_path(tmp_path / "a" / "b" / "c.txt"):
        raise ValueError("no")
    assert left_in(tmp_path) == []


def test_a_full_disk_is_one_sentence_and_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "old.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="disk is full") as caught, atomic_path(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(target) in str(caught.value)
    assert target.read_text() == "old"
    assert left_in(tmp_path) == ["old.txt"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; skipped where it cannot be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_really_full_disk_leaves_nothing_half_written(tiny_disk: Path) -> None:
    (tiny_disk / "old.bin").write_bytes(b"old")
    with pytest.raises(OutputError, match="disk is full"), atomic_path(tiny_disk / "old.bin") as temporary:
        temporary.write_bytes(bytes(10**6))
    assert left_in(tiny_disk) == ["old.bin"]
    assert (tiny_disk / "old.bin").read_bytes() == b"old"


@pytest.fixture(scope="module")
def brain(shared_dir: Path) -> Volume:
    return read_volume(shared_dir / "data" / "mr_oblique_dicom")


@pytest.mark.parametrize("name", ["seg.seg.nrrd", "seg.nii.gz", "seg.nii", "seg.dcm"])
def test_every_segmentation_format_survives_a_full_disk(tiny_disk: Path, brain: Volume, name: str) -> None:
    noise = np.random.default_rng(0).random(brain.shape) > 0.5
    segment = Segment("noise", "liver", BoxMask.from_full(noise))
    (tiny_disk / name).write_bytes(b"old")
    with pytest.raises(OutputError, match=r"the disk (is full|has room)"):
        write_segmentation(tiny_disk / name, Segmentation(brain.shape, brain.ijk_to_ras, (segment,)), reference=brain)
    assert left_in(tiny_disk) == [name]
    assert (tiny_disk / name).read_bytes() == b"old"


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no file"), atomic_path(tmp_path / "x.txt"):
        pass
    assert left_in(tmp_path) == []


def test_a_name_that_is_a_folder_or_lies_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="folder of that name"), atomic_path(tmp_path / "folder"):
        pytest.fail("the body must not run")
    with pytest.raises(OutputError, match="a folder is needed"), atomic_path(tmp_path / "file" / "x.txt"):
        pytest.fail("the body must not run")


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "results"
    with atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text("a")
        (temporary / "sub").mkdir()
        (temporary / "sub" / "b.txt").write_text("b")
        assert not target.exists()
    assert left_in(tmp_path) == ["a.txt", "b.txt", "results", "sub"]


def test_a_failed_folder_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "a.txt").write_text("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "results") as temporary:
        interrupted(temporary)
    assert left_in(tmp_path) == []


def test_a_folder_with_files_is_refused_before_any_work_unless_replaced(tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    (target / "a.txt").write_text("old")
    with pytest.raises(OutputError, match="not empty"), atomic_folder(target):
        pytest.fail("the body must not run")
    with atomic_folder(target, replace=True) as temporary:
        (temporary / "a.txt").write_text("new")
    assert (target / "a.txt").read_text() == "new"
    assert (target / "mine.txt").read_text() == "mine"
    assert left_in(tmp_path) == ["a.txt", "mine.txt", "results"]
