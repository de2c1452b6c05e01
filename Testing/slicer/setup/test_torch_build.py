# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from UniBiomedSlicerLib.TorchBuild import PYTORCH_INDEX, Gpu, chooseTorchBuild, localTorchWheel, parseGpus

# What nvidia-smi 535 and later print for GPU_QUERY.
ANSWER = "NVIDIA H100 80GB HBM3, 580.65.06, 9.0, 81559\nQuadro K2000, 470.223.02, 3.0, 2000\n"


def test_nvidia_smi_is_read():
    gpus = parseGpus(ANSWER)
    assert gpus[0] == Gpu("NVIDIA H100 80GB HBM3", "580.65.06", (9, 0), 81559)
    assert [gpu.driverMajor for gpu in gpus] == [580, 470]


@pytest.mark.parametrize(
    "text",
    ["", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", "a, b, c, d\n", "x, 1.2\n"],
)
def test_an_answer_without_gpus_gives_none(text):
    assert parseGpus(text) == []


@pytest.mark.parametrize(
    ("name", "driver", "capability", "variant"),
    [
        ("H100", "580.65.06", (9, 0), "cu130"),
        ("RTX 5090", "580.88", (12, 0), "cu130"),
        ("RTX 5090", "572.16", (12, 0), "cu128"),
        ("RTX 5090", "551.86", (12, 0), "cpu"),
        ("RTX 3060", "535.183.01", (8, 6), "cu126"),
        ("GTX 1080", "580.65.06", (6, 1), "cu126"),
        ("V100", "580.65.06", (7, 0), "cu126"),
        ("RTX 3060", "470.223.02", (8, 6), "cpu"),
        ("K2000", "535.1", (3, 0), "cpu"),
        ("A GPU that tells no capability", "535.1", (0, 0), "cu126"),
    ],
)
def test_driver_and_capability_choose_the_build(name, driver, capability, variant):
    build = chooseTorchBuild("Linux", "x86_64", [Gpu(name, driver, capability)])
    assert build.variant == variant
    assert build.index == f"{PYTORCH_INDEX}/{variant}"
    assert name in build.reason
    if variant == "cpu" and capability > (5, 0):
        assert driver in build.reason
        assert "update" in build.reason


def test_no_gpu_means_the_processor_and_is_said():
    build = chooseTorchBuild("Windows", "AMD64")
    assert build.variant == "cpu"
    assert "No NVIDIA GPU" in build.reason


def test_macs():
    assert chooseTorchBuild("Darwin", "arm64").variant == "mps"
    assert chooseTorchBuild("Darwin", "arm64").index is None
    intel = chooseTorchBuild("Darwin", "x86_64")
    assert not intel.possible
    assert "remote server" in intel.reason


def test_a_chosen_build_and_a_mirror_are_obeyed():
    build = chooseTorchBuild("Linux", "x86_64", [Gpu("H100", "580.1", (9, 0))], "cpu", "https://mirror.example/whl/")
    assert (build.variant, build.index) == ("cpu", "https://mirror.example/whl/cpu")


def test_the_wheel_for_this_platform_is_found(tmp_path):
    for name in (
        "torch-2.12.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp312-cp312-win_amd64.whl",
        "torch-2.13.0-cp314-cp314-manylinux_2_28_x86_64.whl",
        "torch-2.13.0-cp313-none-macosx_11_0_arm64.whl",
        "torchvision-0.28.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    ):
        (tmp_path / name).touch()
    found = localTorchWheel(tmp_path, "Linux", "x86_64")
    assert found.path.name == "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl"
    assert found.python == "3.12"
    assert "win_amd64" in localTorchWheel(tmp_path, "Windows", "AMD64").path.name
    assert localTorchWheel(tmp_path, "Darwin", "x86_64") is None
    assert localTorchWheel(tmp_path, "Darwin", "arm64").python == "3.13"
