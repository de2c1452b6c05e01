# SPDX-License-Identifier: Apache-2.0
"""The command line as a process: Ctrl-C, a full disk, ten thousand slices."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

DRIVER = Path(__file__).with_name("driver.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of Unix")


def start(seconds: float, *arguments: object, **options) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, str(DRIVER), str(seconds), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stderr.readline() == "ready\n"
    return process


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("command", ["segment", "interpret"])
def test_ctrl_c_stops_within_a_slice_and_leaves_nothing_half_written(torso, tmp_path, command):
    target = ["liver"] if command == "segment" else []
    output = tmp_path / ("out.seg.nrrd" if command == "segment" else "out")
    before = files(tmp_path)
    process = start(0.5, command, torso, *target, "--modality", "CT", "-o", output)
    while process.stderr.readline() != "thinking\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130
    # A call takes as many slices as are read in a second, two at most here; not one call more is made.
    assert errors.count("thinking") <= 2
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("unibiomed: Stopped")
    assert files(tmp_path) == before


def test_ctrl_c_while_the_model_is_loaded_ends_with_130_too(torso, tmp_path):
    process = start(60, "segment", torso, "liver", "--modality", "CT", "-o", tmp_path / "out.seg.nrrd")
    assert process.stderr.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=50)
    assert process.returncode == 130
    assert errors.startswith("unibiomed: Stopped")
    assert "Traceback" not in errors
    assert not (tmp_path / "out.seg.nrrd").exists()


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz", ".nii"])
def test_a_full_disk_while_writing_leaves_what_was_there(torso, tmp_path, ending):
    output = tmp_path / f"out{ending}"
    output.write_bytes(b"what was there")
    before = files(tmp_path)
    process = start(0.0, "segment", torso, "liver", "--modality", "CT", "-q", "-o", output, preexec_fn=_almost_full)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    lines = errors.strip().splitlines()
    assert len(lines) == 1, errors
    assert lines[0].startswith("unibiomed: ")
    assert output.read_bytes() == b"what was there"
    assert files(tmp_path) == before


def test_a_full_disk_while_writing_a_folder_leaves_no_folder(torso, tmp_path):
    before = files(tmp_path)
    process = start(0.0, "interpret", torso, "--modality", "CT", "-q", "-o", tmp_path / "out", preexec_fn=_almost_full)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert files(tmp_path) == before


def _almost_full() -> None:
    """No file of the process may grow beyond 100 bytes, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak memory is read from Linux's /proc")
def test_ten_thousand_slices_are_streamed_in_flat_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIBIOMED_TEST_PEAK", "1")
    path = tmp_path / "long.nii"
    _write_sparse_nifti(path, slices=10_000, side=256)
    assert path.stat().st_size > 1.3e9
    window = ("--window", "255/127.5")
    process = start(0.0, "segment", path, "liver", "--modality", "CT", "--slices", "4998-5003", *window, "--json", "-q")
    out, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    assert '"liver in abdomen CT"' in out
    peak_kb = int(errors.split("peak ")[1].split()[0])
    assert peak_kb < 450_000


def _write_sparse_nifti(path: Path, slices: int, side: int) -> None:
    """An int16 volume that is 0 but for a block of 100 in the middle, mostly a hole in the file."""
    template = sitk.GetImageFromArray(np.zeros((2, side, side), np.int16))
    template.SetSpacing((1.0, 1.0, 0.5))
    sitk.WriteImage(template, str(path))
    with path.open("r+b") as stream:
        stream.seek(40)
        shape = struct.unpack("<8h", stream.read(16))
        stream.seek(40)
        stream.write(struct.pack("<8h", 3, side, side, slices, *shape[4:]))
        stream.truncate(352 + 2 * slices * side * side)
        plane = np.zeros((side, side), np.int16)
        plane[60:120, 60:120] = 100
        for index in range(slices // 2 - 1, slices // 2 + 2):
            stream.seek(352 + 2 * index * side * side)
            stream.write(plane.tobytes())
