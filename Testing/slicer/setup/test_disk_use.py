# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import pytest
from UniBiomedSlicerLib.DiskUse import freeSpace, measureFolders, removeFolder, sizeText


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    for number in range(2000):
        place = folder / str(number % 50)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.py").write_bytes(b"x" * 100)
    os.link(folder / "0" / "0.py", folder / "linked.py")
    return folder


def test_hard_links_are_counted_once(host, tree, tmp_path):
    results = []
    work = measureFolders({"tree": tree, "absent": tmp_path / "absent"}, results.append)
    host.spin(until=lambda: results)
    del work
    assert results == [{"tree": 2000 * 100, "absent": 0}]


def test_removal_is_visible_at_once_and_never_stops_the_event_loop_for_long(host, tree):
    results = []
    with host.stallMeter() as meter:
        work = removeFolder(tree, results.append)
        assert not tree.exists()
        host.spin(until=lambda: results, timeout=30)
    assert results == [""]
    assert not list(tree.parent.glob(".removing-*"))
    assert meter.longest < 0.1
    del work


def test_removing_what_is_not_there_is_done(host, tmp_path):
    results = []
    assert removeFolder(tmp_path / "absent", results.append) is None
    assert results == [""]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator may delete anything")
def test_what_cannot_be_deleted_is_told(host, tree):
    (tree / "0").chmod(0o500)
    results = []
    work = removeFolder(tree, results.append)
    host.spin(until=lambda: results)
    assert "could not be deleted" in results[0]
    del work


def test_sizes_as_people_read_them():
    assert [sizeText(size) for size in (0, 20757114, 250e6, 1.84e9)] == ["0 MB", "20.8 MB", "250 MB", "1.8 GB"]


def test_free_space_is_that_of_the_nearest_folder_that_exists(tmp_path):
    assert freeSpace(tmp_path / "a" / "b") > 0
