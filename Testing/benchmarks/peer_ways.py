# SPDX-License-Identifier: Apache-2.0
"""How other extensions hand a volume over and bring masks in, on the same data: files, and blosc2 over HTTP.

The stand-in for Slicer must run before anything here is called. Both block Slicer's thread while they work.
"""

from __future__ import annotations

import http.client
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

FRAME_BYTES = 1 << 30
READ = "import sys, SimpleITK; SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(sys.argv[1]))"


@contextmanager
def receiver(result: Path | None = None) -> Iterator[int]:
    """The port of the process at the other end."""
    script = Path(__file__).with_name("peer_receiver.py")
    command = [sys.executable, str(script), *([str(result)] if result else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


def handover_by_file(node: Any, path: Path) -> float:
    """Seconds to write the volume with Slicer's own writer and to read it with ITK, as TotalSegmentator and VoxTell do.

    The time that a new process takes to start and to import ITK is not counted."""
    import slicer

    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    start = time.perf_counter()
    if not storage.WriteData(node):
        raise OSError(f"Slicer did not write {path.name}")
    written = time.perf_counter() - start
    return written + _in_a_process_of_its_own(READ, path)


def handover_by_blosc2(array: np.ndarray, port: int) -> float:
    """Seconds for blosc2 frames over HTTP to a server that unpacks them, as nnInteractive's remote client does."""
    import blosc2

    flat = np.ascontiguousarray(array).reshape(-1)
    step = FRAME_BYTES // flat.itemsize
    start = time.perf_counter()
    frames = [blosc2.compress2(flat[at : at + step], typesize=flat.itemsize) for at in range(0, flat.size, step)]
    body = b"".join(struct.pack("<Q", len(frame)) + frame for frame in frames)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/volume", body)
    taken = int(connection.getresponse().read())
    seconds = time.perf_counter() - start
    if taken != array.nbytes:
        raise OSError(f"{taken} bytes arrived of {array.nbytes}")
    return seconds


def import_by_file(node: Any, labels: np.ndarray, path: Path) -> float:
    """Seconds to write a label map of all masks as .nii.gz, load it and import it; where masks overlap, one is lost."""
    import SimpleITK
    import slicer

    start = time.perf_counter()
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels), str(path))
    loaded = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(loaded):
        raise OSError(f"Slicer did not read {path.name}")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(loaded, segmentation)
    seconds = time.perf_counter() - start
    count = segmentation.GetSegmentation().GetNumberOfSegments()
    slicer.mrmlScene.RemoveNode(segmentation)
    slicer.mrmlScene.RemoveNode(loaded)
    if count != len(np.unique(labels)) - 1:
        raise OSError(f"{count} segments came of {len(np.unique(labels)) - 1}")
    return seconds


def import_by_arrays(node: Any, masks: list[np.ndarray]) -> float:
    """Seconds for one whole array a mask into Slicer's own function, as nnInteractive's extension writes segments."""
    import slicer
    from slicer import util

    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
    start = time.perf_counter()
    for number, mask in enumerate(masks):
        segment = segmentation.GetSegmentation().AddEmptySegment(f"s{number}")
        util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, node)
    seconds = time.perf_counter() - start
    slicer.mrmlScene.RemoveNode(segmentation)
    return seconds


def _in_a_process_of_its_own(code: str, path: Path) -> float:
    """Seconds that ``code`` takes in another Python, beyond what importing ITK takes there."""
    timed = (
        "import sys, time, SimpleITK\n"
        "image = SimpleITK.GetImageFromArray([[0]])\n"
        "start = time.perf_counter()\n"
        f"{code}\n"
        "print(time.perf_counter() - start)\n"
    )
    done = subprocess.run([sys.executable, "-c", timed, str(path)], capture_output=True, check=True, text=True)
    return float(done.stdout)
