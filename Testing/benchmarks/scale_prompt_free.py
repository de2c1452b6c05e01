# SPDX-License-Identifier: Apache-2.0
"""What a prompt-free cohort of all ten modalities costs: time a case by modality, memory over many cases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from harness import Figures
from PIL import Image
from unibiomed.cohort.annotate import AUTOMATIC, Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.overview import write_overview
from unibiomed.cohort.plan import Plan, plan_from
from unibiomed.cohort.run import CaseEvent, annotate_here, work
from unibiomed.cohort.tally import tally
from unibiomed.phantoms import MODALITY_GENERATORS, generate, generate_volume

_SEED = 51_000_000
_SIDE = 256
#: The first cases load libraries and fill caches; memory is compared from here on.
_SETTLED = 20
_VOLUMES = {"CT": "abdomen", "MRI": "brain"}
_VOLUMES_EACH = 3


def prompt_free(figures: Figures, root: Path, model: Any, cases: int, slices: int) -> None:
    """Annotate ``cases`` pictures of all modalities by one plan with a rule for each, then some CT and MRI volumes."""
    _pictures(figures, root / "pictures", model, cases)
    _volumes(figures, root / "volumes", model, slices)


def _pictures(figures: Figures, root: Path, model: Any, cases: int) -> None:
    modalities = sorted(MODALITY_GENERATORS)
    for number in range(cases):
        modality = modalities[number % len(modalities)]
        folder = root / modality
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generate(modality, _SEED + number, _SIDE).image).save(folder / f"{number:04d}.png")
    meter = _Meter()
    with _annotated(root, model, _plan(modalities), meter) as catalogue:
        counted = tally(catalogue)
        figures.add("free_pictures", counted.free, f"cases of {_SIDE} x {_SIDE}, {len(modalities)} modalities")
        figures.add("free_picture_failed", catalogue.counts()["failed"], "cases")
        figures.add("free_picture_abnormal", counted.abnormal, "cases")
        meter.tell(figures, "picture")
        _sizes(figures, "free_picture", root, counted.cases)
        figures.add("overview_bytes_a_case", write_overview(catalogue).stat().st_size / counted.cases, "bytes")
    _memory(figures, meter.memory)


def _volumes(figures: Figures, root: Path, model: Any, slices: int) -> None:
    for modality, site in _VOLUMES.items():
        for number in range(_VOLUMES_EACH):
            volume = generate_volume(modality, _SEED + number, (slices, _SIDE, _SIDE), site=site).volume
            path = root / modality / f"{number}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            voxels = np.asarray(volume.array).transpose(2, 1, 0)
            nibabel.save(nibabel.Nifti1Image(voxels, volume.ijk_to_ras), path)
    meter = _Meter()
    with _annotated(root, model, _plan(_VOLUMES), meter) as catalogue:
        figures.add("free_volume_slices", slices, f"slices of {_SIDE} x {_SIDE}")
        meter.tell(figures, "volume")
        _sizes(figures, "free_volume", root, catalogue.counts()["done"])


def _plan(modalities: Iterable[str]) -> Plan:
    """A folder a modality, and a rule for each."""
    rules = [{"match": {"path": f"{modality}/*"}, "modality": modality} for modality in modalities]
    return plan_from({"rules": rules}, "the benchmark")


class _Meter:
    """Notes of every case what it took, in seconds of the wall clock and of the processor, and the memory after it.

    Where other programs share the cores, the processor's time is the one to compare: a core of one's own takes about
    that long.
    """

    def __init__(self) -> None:
        self.memory: list[float] = []
        self._wall: dict[str, list[float]] = {}
        self._processor: dict[str, list[float]] = {}
        self._before = time.process_time()

    def __call__(self, event: CaseEvent) -> None:
        now = time.process_time()
        modality = event.case.path.split("/")[0]
        self._processor.setdefault(modality, []).append(now - self._before)
        if event.outcome is not None:
            self._wall.setdefault(modality, []).append(event.outcome.seconds)
        self.memory.append(_rss())
        self._before = time.process_time()

    def tell(self, figures: Figures, what: str) -> None:
        """By modality, and all together."""
        for modality, seconds in (
            *self._processor.items(),
            ("all", list(chain.from_iterable(self._processor.values()))),
        ):
            figures.add(f"free_{modality}_{what}_processor_seconds_a_case", float(np.mean(seconds)), "s")
            figures.add(f"free_{modality}_{what}_cases_a_minute_of_a_core", 60 / float(np.mean(seconds)), "cases/min")
        waited = list(chain.from_iterable(self._wall.values()))
        figures.add(f"free_all_{what}_wall_seconds_a_case", float(np.mean(waited)), "s")


def _annotated(root: Path, model: Any, plan: Plan, told: Callable[[CaseEvent], None]) -> Catalogue:
    folder = root / "derivatives"
    catalogue = Catalogue.create(folder, root, plan, find_cases(root))
    work(catalogue, annotate_here(Annotator(model, plan, root, folder)), told, lambda: False)
    return catalogue


def _sizes(figures: Figures, name: str, root: Path, cases: int) -> None:
    files = [path for path in (root / "derivatives" / AUTOMATIC).rglob("*") if path.is_file()]
    figures.add(f"{name}_result_files_a_case", len(files) / cases, "files")
    figures.add(f"{name}_result_bytes_a_case", sum(path.stat().st_size for path in files) / cases, "bytes")


def _memory(figures: Figures, seen: list[float]) -> None:
    """Resident memory after ``_SETTLED`` cases and after all, and the slope of a line through what lies between."""
    settled = seen[_SETTLED:]
    if len(settled) < 2:
        return
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0]
    figures.add(f"memory_after_{_SETTLED}", settled[0], "MB")
    figures.add(f"memory_after_{len(seen)}", settled[-1], "MB")
    figures.add("memory_most", max(seen), "MB")
    figures.add("memory_growth_a_case", 1024 * float(slope), "kB")


def _rss() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20
