# SPDX-License-Identifier: Apache-2.0
"""The steps of the annotation loop as a user takes them, with a reviewer who knows the truth of the phantoms."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from shifted_phantoms import TARGETS, Case
from unibiomed.cli.app import run
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.measure import ask_catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.review import Review
from unibiomed.cohort.run import work
from unibiomed.evaluation.agreement import Answer
from unibiomed.evaluation.mask_metrics import dice
from unibiomed.model import load
from unibiomed.phantoms import generate
from unibiomed.volumes import read_volume
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.reading_nrrd import read_segmentation
from unibiomed.volumes.segmentation import Segment, Segmentation
from unibiomed.volumes.writing import write_segmentation

REVIEWER = "simulated"
_KILL_SEED = 10_800_000


@dataclass(frozen=True)
class Cohort:
    """A folder of phantoms ``draw`` makes of ``seeds``, one a patient, and the catalogue of it."""

    folder: Path
    draw: Callable[[int, tuple[int, int, int]], Case]
    seeds: Sequence[int]
    shape: tuple[int, int, int]

    @property
    def catalogue(self) -> Path:
        """Folder of the catalogue."""
        return self.folder / "derivatives" / "unibiomed"

    def make(self) -> None:
        """Write the images."""
        for seed in self.seeds:
            self.draw(seed, self.shape).save(self.folder / f"sub-{seed}" / f"sub-{seed}_ct.nii.gz")

    def truth(self, case_id: str) -> dict[str, np.ndarray]:
        """Bool masks [k, j, i] of the targets that are there."""
        return self.draw(int(case_id.removeprefix("sub-").removesuffix("_ct")), self.shape).masks


def command(*arguments: object) -> None:
    """One command of ``unibiomed``, in this process; anything but success ends the benchmark."""
    code = run([str(argument) for argument in arguments])
    if code:
        raise SystemExit(f"unibiomed {' '.join(map(str, arguments))} ended with {code}.")


def annotate(cohort: Cohort, model: str, *, propagation: bool) -> None:
    """Make the plan file and run ``unibiomed annotate`` by it."""
    plan = Plan(targets=TARGETS, modality="CT", site="abdomen", window="ct-abdomen", model=model, device="cpu",
                propagation=propagation)  # fmt: skip
    path = cohort.folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan.model_dump(mode="json")), encoding="utf-8")
    command("annotate", cohort.folder, "--plan", path, "--quiet")


def correct(cohort: Cohort, catalogue: Catalogue, case_ids: Sequence[str]) -> None:
    """What a perfect reviewer does: the truth is saved in the place of what the model drew."""
    review = Review(catalogue)
    for case_id in case_ids:
        volume = read_volume(review.files(case_id).image, modality="CT")
        segments = tuple(Segment(n, n, BoxMask.from_full(mask)) for n, mask in cohort.truth(case_id).items())
        saved = cohort.folder / ".saved.seg.nrrd"
        write_segmentation(saved, Segmentation(volume.shape, volume.ijk_to_ras, segments), reference=volume)
        review.correct(case_id, REVIEWER, saved)


def case_dice(cohort: Cohort, catalogue: Catalogue) -> dict[str, float]:
    """Mean Dice of the model's own segments over the targets that are there, by case."""
    found = {}
    for record in catalogue.records():
        path = catalogue.folder / "automatic" / record.case.id / "segmentation.seg.nrrd"
        volume = read_volume(catalogue.cohort / record.case.path, modality="CT")
        segments = read_segmentation(path, volume.shape, volume.ijk_to_ras).segments
        drawn = {one.target.partition(" in ")[0]: one.mask.to_full(volume.shape) for one in segments}
        nothing = np.zeros(volume.shape, bool)
        truth = cohort.truth(record.case.id)
        found[record.case.id] = float(np.mean([dice(drawn.get(name, nothing), mask) for name, mask in truth.items()]))
    return found


def measured(model: str, cohort: Cohort) -> list[Answer]:
    """The answers of ``model`` in the reviewed cases of ``cohort``."""
    with Catalogue(cohort.catalogue) as catalogue:
        return ask_catalogue(load(model, device="cpu"), catalogue, 2.0)


def cases_a_minute(cohort: Cohort, folder: Path, workers: int, model: str) -> float:
    """Pace on a local Ray cluster while all workers are busy: start-up and the last round do not count."""
    from unibiomed.cohort.ray_runner import annotate_on_ray

    plan = Plan(targets=TARGETS, modality="CT", site="abdomen", window="ct-abdomen", model=model, device="cpu")
    ends: list[float] = []
    with Catalogue.create(folder, cohort.folder, plan, find_cases(cohort.folder)) as catalogue:
        runner = annotate_on_ray("local", plan, cohort.folder.absolute(), folder.absolute(), workers=workers)
        work(catalogue, runner, lambda event: ends.append(time.monotonic()), lambda: False)
        if catalogue.counts()["done"] != len(ends):
            raise SystemExit("A case failed on the Ray cluster.")
    # The second worker's model may load after the first one's: its first case is waited for.
    skipped = min(4, len(ends) // 3)
    return 60.0 * (len(ends) - 1 - skipped) / (ends[-1] - ends[skipped])


@dataclass(frozen=True)
class Kills:
    """``survived`` kills after which the catalogue could be gone on with; cases and decisions lost or changed."""

    survived: int
    lost: int
    doubled: int
    decisions_lost: int


def killed(folder: Path, model: str, kills: int, cases: int) -> Kills:
    """End ``unibiomed annotate`` by SIGKILL at random moments of its work; between two kills a case is accepted."""
    cohort = folder / "skin"
    cohort.mkdir(parents=True)
    for number in range(cases):
        Image.fromarray(generate("dermoscopy", _KILL_SEED + number).image).save(cohort / f"{number:03d}.png")
    plan = Plan(targets=("melanoma",), modality="dermoscopy", model=model, device="cpu")
    place = cohort / "derivatives" / "unibiomed"
    Catalogue.create(place, cohort, plan, find_cases(cohort)).close()
    arguments = [sys.executable, "-m", "unibiomed.cli", "annotate", str(cohort), "--quiet"]
    chance, finished, decided = random.Random(11), {}, []
    survived = doubled = 0
    while survived < kills:
        process = subprocess.Popen(arguments)
        with Catalogue(place) as catalogue:
            _wait_for_work(catalogue, process)
            time.sleep(chance.uniform(0.0, 1.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
            survived += 1
            doubled += _changed(catalogue, finished)
            waiting = [key for key in finished if key not in decided]
            if waiting:
                Review(catalogue).accept(waiting[0], REVIEWER)
                decided.append(waiting[0])
            if not catalogue.counts()["waiting"] and not catalogue.counts()["running"]:
                break
    command("annotate", cohort, "--quiet")
    with Catalogue(place) as catalogue:
        doubled += _changed(catalogue, finished)
        records = {record.case.id: record for record in catalogue.records()}
        whole = [key for key in records if (place / "automatic" / key / "result.json").is_file()]
        done = [key for key in whole if records[key].state == "done"]
        kept = [key for key in decided if records[key].decision is not None]
    return Kills(survived, cases - len(done), doubled, len(decided) - len(kept))


def _wait_for_work(catalogue: Catalogue, process: subprocess.Popen[Any]) -> None:
    """Until the process has a case in hand: before that there is nothing to lose."""
    before = catalogue.counts()["waiting"]
    while process.poll() is None and catalogue.counts()["waiting"] == before:
        time.sleep(0.02)


def _changed(catalogue: Catalogue, finished: dict[str, float]) -> int:
    """How many cases that were done before were done again; takes note of the new ones."""
    times = {record.case.id: record.finished for record in catalogue.records() if record.state == "done"}
    changed = sum(times.get(key) != moment for key, moment in finished.items())
    finished.update(times)
    return changed
