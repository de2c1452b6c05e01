# SPDX-License-Identifier: Apache-2.0
"""The annotation loop from end to end, with the bundled model on a domain that it was not trained on.

    python Testing/benchmarks/bench_loop.py [--tiny] [--output FILE.json] [--keep FOLDER]

Phantoms of another scanner look, with organs of another shape, are annotated, corrected in the order of the review
queue by a simulated reviewer (the truth), exported, and learned from after 5, 10 and 20 corrected cases; each model is
measured on other patients of that domain, and the last one on the original domain too (forgetting). Then: what each
queue strategy is worth against random order, the pace with one and two Ray workers, and kills at random moments.

``--tiny`` shows in a few minutes that every step runs; its figures mean nothing. ``--parts`` measures some of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from harness import REPOSITORY, Figures
from loop_steps import Cohort, annotate, case_dice, cases_a_minute, command, correct, killed, measured
from shifted_phantoms import original, shifted
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.review import Review
from unibiomed.cohort.simulation import queue_gain
from unibiomed.cohort.strategies import STRATEGIES
from unibiomed.evaluation.agreement import Answer, compare, summarise
from unibiomed.model.loading import find_model

PARTS = ("tune", "queue", "workers", "kills")
#: Phantom seeds of the cohort, of both test sets and of the pace; training uses those below 10,000,000.
_COHORT, _TEST, _PACE = 20_000_000, 30_000_000, 40_000_000
_STRATEGY = "least-confident"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    cohort: int = 40
    test: int = 20
    corrected: tuple[int, ...] = (5, 10, 20)
    steps: int = 200
    look_every: int = 40
    paced: int = 24
    kills: int = 20
    killed_cases: int = 240
    shape: tuple[int, int, int] = (4, 256, 256)


TINY = Size(cohort=6, test=2, corrected=(2, 4), steps=4, look_every=2, paced=6, kills=2, killed_cases=6)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--keep", type=Path, help="new folder that keeps cohorts, exports and models")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-loop.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures, size = Figures(), TINY if options.tiny else Size()
    with tempfile.TemporaryDirectory(prefix="unibiomed-loop-") as scratch:
        root = (options.keep or Path(scratch)).absolute()
        # One copy from start to end: a model that is replaced meanwhile would be compared with itself of before.
        model = shutil.copytree(find_model(options.model), root / "model")
        os.environ["UNIBIOMED_MODELS"] = str(root / "models")
        began = time.monotonic()
        _measure(figures, root, size, str(model), options.parts)
        figures.add("bench_loop_seconds", time.monotonic() - began, "s")
    figures.add("load_average", os.getloadavg()[1], "processes")
    figures.save(options.output)


def _measure(figures: Figures, root: Path, size: Size, model: str, parts: list[str]) -> None:
    if "tune" in parts or "queue" in parts:
        cohort = Cohort(root / "cohort", shifted, range(_COHORT, _COHORT + size.cohort), size.shape)
        cohort.make()
        began = time.monotonic()
        annotate(cohort, model, propagation="queue" in parts)
        figures.add("annotate_seconds_a_case", (time.monotonic() - began) / size.cohort, "s")
        with Catalogue(cohort.catalogue) as catalogue:
            if "queue" in parts:
                _queue(figures, cohort, catalogue)
            if "tune" in parts:
                _tune(figures, root, size, model, cohort, catalogue)
    if "workers" in parts:
        paced = Cohort(root / "paced", shifted, range(_PACE, _PACE + size.paced), size.shape)
        paced.make()
        # There and back, so that a machine that becomes busier does not speak for one of them.
        runs = [(n, cases_a_minute(paced, root / f"paced-{turn}", n, model)) for turn, n in enumerate((1, 2, 2, 1))]
        pace = {n: statistics.mean(cases for workers, cases in runs if workers == n) for n in (1, 2)}
        for workers, cases in pace.items():
            figures.add(f"cases_a_minute_{workers}", cases, "cases/min")
        figures.add("workers_2_over_1", pace[2] / pace[1], "")
    if "kills" in parts:
        found = killed(root / "kills", model, size.kills, size.killed_cases)
        figures.add("kills_survived", found.survived, "kills")
        figures.add("cases_lost", found.lost, "cases")
        figures.add("cases_doubled", found.doubled, "cases")
        figures.add("decisions_lost", found.decisions_lost, "decisions")


def _queue(figures: Figures, cohort: Cohort, catalogue: Catalogue) -> None:
    """Corrections until half of what the cohort lacks is gained, in each order, against random order."""
    dice = case_dice(cohort, catalogue)
    cases = list(dice)
    mean = sum(dice.values()) / len(dice)
    review = Review(catalogue)
    for strategy in STRATEGIES:
        place = {record.case.id: number for number, record in enumerate(review.queue(strategy))}
        gain = queue_gain([dice[key] for key in cases], [-place[key] for key in cases], (1 + mean) / 2)
        name = "queue_gain" if strategy == _STRATEGY else f"queue_gain_{strategy.replace('-', '_')}"
        figures.add(name, gain.ratio, "times fewer corrections than random")
        figures.add(f"{name}_low", gain.low, "")
        figures.add(f"{name}_high", gain.high, "")
        figures.add(f"{name}_needed", gain.needed, f"of {len(cases)} cases ({gain.needed_random:.1f} at random)")


def _tune(figures: Figures, root: Path, size: Size, model: str, cohort: Cohort, catalogue: Catalogue) -> None:
    seeds = range(_TEST, _TEST + size.test)
    tests = {"": Cohort(root / "test", shifted, seeds, size.shape),
             "_original": Cohort(root / "original", original, seeds, size.shape)}  # fmt: skip
    before: dict[str, list[Answer]] = {}
    for kind, test in tests.items():
        test.make()
        annotate(test, model, propagation=False)
        with Catalogue(test.catalogue) as opened:
            correct(test, opened, [record.case.id for record in opened.records()])
        before[kind] = measured(model, test)
        _add(figures, f"dice{kind}_before", f"false_positives{kind}_before", before[kind])
    order = [record.case.id for record in Review(catalogue).queue(_STRATEGY)]
    done = 0
    for count in size.corrected:
        correct(cohort, catalogue, order[done:count])
        done, data = count, root / f"export-{count}"
        command("export", cohort.catalogue, "-o", data, "--cases", "corrected", "--validation", 0.2, "--test", 0, "-q")
        began = time.monotonic()
        command("train", "--from", model, "--data", data, "-o", root / f"run-{count}", "--name", f"after-{count}",
                "--steps", size.steps, "--look-every", size.look_every)  # fmt: skip
        figures.add(f"train_seconds_{count}", time.monotonic() - began, "s")
        after = measured(f"after-{count}", tests[""])
        _add(figures, f"dice_after_{count}", f"false_positives_after_{count}", after)
        change = compare(before[""], after)[0].dice
        figures.add(f"dice_change_{count}_low", change.difference.low or 0.0, "")
        figures.add(f"dice_change_{count}_high", change.difference.high or 0.0, "")
    last = measured(f"after-{size.corrected[-1]}", tests["_original"])
    _add(figures, "dice_original_after", "false_positives_original_after", last)
    change = compare(before["_original"], last)[0].dice
    figures.add("dice_original_change_low", change.difference.low or 0.0, "")
    figures.add("dice_original_change_high", change.difference.high or 0.0, "")


def _add(figures: Figures, dice: str, wrong: str, answers: list[Answer]) -> None:
    overall = summarise("", answers).overall
    figures.add(dice, overall.dice.value, f"({overall.dice.low:.3f} to {overall.dice.high:.3f})")
    if overall.false_positives:
        figures.add(wrong, overall.false_positives.value, f"of {overall.absent} absent targets")


if __name__ == "__main__":
    main()
