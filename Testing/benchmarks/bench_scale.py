# SPDX-License-Identifier: Apache-2.0
"""What a cohort costs by the case: the parts of annotating one, prompt-free by modality, the catalogue with many.

python Testing/benchmarks/bench_scale.py [--cases N] [--slices K] [--pictures N] [--output FILE.json]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import REPOSITORY, Figures, peak_gigabytes
from scale_prompt_free import prompt_free
from shifted_phantoms import TARGETS, original
from unibiomed.cohort.annotate import AUTOMATIC, Annotator
from unibiomed.cohort.cases import Case, find_cases
from unibiomed.cohort.catalogue import FILE, Catalogue
from unibiomed.cohort.plan import Plan
from unibiomed.cohort.reading import Reading
from unibiomed.cohort.records import Outcome
from unibiomed.cohort.review import Review
from unibiomed.cohort.strategies import STRATEGIES
from unibiomed.cohort.tally import tally
from unibiomed.model import load

_PARTS = {"_result": "segment", "_disagreement": "propagate", "_embedding": "embed", "_write": "write"}
_SAMPLE = 200
_SEED = 50_000_000


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=200, help="prompt-free, of all modalities in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-scale.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="unibiomed-scale-") as scratch:
        model = load("mini", device="cpu")
        width = _annotating(figures, Path(scratch) / "one", model, options.slices)
        prompt_free(figures, Path(scratch) / "free", model, options.pictures, options.slices)
        _catalogue(figures, Path(scratch) / "many", options.cases, width)
    figures.add("peak_memory", peak_gigabytes(), "GB")
    figures.add("load_average", os.getloadavg()[0], "processes")
    figures.save(options.output)


def _annotating(figures: Figures, root: Path, model: Any, slices: int) -> int:
    """The parts of one case of ``slices`` slices and four targets; returns the width of the embedding."""
    original(_SEED, (slices, 256, 256)).save(root / "case.nii.gz")
    spent: dict[str, float] = {}

    class Timed(Annotator):
        """Notes how long each part takes."""

    for name, part in _PARTS.items():
        setattr(Timed, name, _timed(getattr(Annotator, name), part, spent))
    plan = Plan(targets=TARGETS, modality="CT", site="abdomen", window="ct-abdomen", propagation=True)
    annotator = Timed(model, plan, root, root / "catalogue")
    (case,) = find_cases(root)
    outcome = annotator(case)
    # The second way of segmenting is timed inside of the comparison of both.
    spent["segment"] -= spent["propagate"]
    figures.add("case_slices", slices, "slices of 256 x 256, 4 targets")
    for part, seconds in spent.items():
        figures.add(f"{part}_seconds_a_case", seconds, "s")
    figures.add("read_seconds_a_case", outcome.seconds - sum(spent.values()), "s")
    figures.add("seconds_a_case", outcome.seconds, "s")
    sizes = [path.stat().st_size for path in (root / "catalogue" / AUTOMATIC).rglob("*") if path.is_file()]
    figures.add("result_files_a_case", len(sizes), "files")
    figures.add("result_bytes_a_case", sum(sizes), "bytes")
    return len(outcome.embedding)


def _timed(method: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(self: Annotator, *arguments: Any) -> Any:
        began = time.monotonic()
        try:
            return method(self, *arguments)
        finally:
            spent[part] = spent.get(part, 0.0) + time.monotonic() - began

    return call


def _catalogue(figures: Figures, folder: Path, count: int, width: int) -> None:
    plan = Plan(targets=TARGETS, modality="CT")
    cases = (Case(f"sub-{n:07d}_ct", f"sub-{n:07d}", f"sub-{n:07d}/sub-{n:07d}_ct.nii.gz") for n in range(count))
    began = time.monotonic()
    catalogue = Catalogue.create(folder, folder, plan, cases)
    figures.add("catalogue_cases", count, "cases")
    figures.add("catalogue_create_a_case", 1e6 * (time.monotonic() - began) / count, "us")
    rng = np.random.default_rng(0)
    spent = {"claim": 0.0, "finish": 0.0}
    for _ in range(_SAMPLE):
        began = time.monotonic()
        case = catalogue.claim()
        middle = time.monotonic()
        catalogue.finish(case.id, _outcome(rng, width))
        spent["claim"] += middle - began
        spent["finish"] += time.monotonic() - middle
    for name, seconds in spent.items():
        figures.add(f"catalogue_{name}", 1e3 * seconds / _SAMPLE, "ms")
    _fill(catalogue, rng, width)
    figures.add("catalogue_bytes_a_case", (folder / FILE).stat().st_size / count, "bytes")
    began = time.monotonic()
    records = list(catalogue.records())
    figures.add("catalogue_read_all", time.monotonic() - began, "s")
    began = time.monotonic()
    catalogue.record(records[count // 2].case.id)
    figures.add("catalogue_read_one", 1e3 * (time.monotonic() - began), "ms")
    began = time.monotonic()
    tally(catalogue)
    figures.add("catalogue_tally", time.monotonic() - began, "s")
    for strategy, order in STRATEGIES.items():
        began = time.monotonic()
        order(records)
        figures.add(f"order_{strategy.replace('-', '_')}", time.monotonic() - began, "s")
    began = time.monotonic()
    Review(catalogue).accept(records[0].case.id, "reader")
    figures.add("catalogue_decide", 1e3 * (time.monotonic() - began), "ms")
    catalogue.close()


def _outcome(rng: np.random.Generator, width: int) -> Outcome:
    vector = rng.standard_normal(width).astype(np.float32)
    prompts = tuple(f"<image>Please segment {name} in abdomen CT." for name in TARGETS)
    confidence = float(rng.random())
    reading = Reading("CT", "abdomen", "ct-abdomen", 1, (("tumor", confidence), ("cyst", confidence)))
    return Outcome(9.0, "UniBiomed-Mini", "0" * 64, prompts, confidence, 4, float(rng.random()),
                   vector / np.linalg.norm(vector), reading)  # fmt: skip


def _fill(catalogue: Catalogue, rng: np.random.Generator, width: int) -> None:
    """Finish the other cases in one transaction: a million flushes would measure the disk."""
    one = _outcome(rng, width)
    with catalogue._changing():
        vectors = iter(lambda: rng.standard_normal(width).astype("<f4").tobytes(), None)
        waiting = [row[0] for row in catalogue._connection.execute("SELECT id FROM cases WHERE state = 'waiting'")]
        sha, said = catalogue.plan.sha256, one.reading.to_text()
        catalogue._connection.executemany(
            "UPDATE cases SET state = 'done', finished = 1.0, seconds = 9.0, model = ?, weights_sha256 = ?, "
            "plan_sha256 = ?, prompts = ?, confidence = random() / 1e19, disagreement = 0.5, segments = 4, "
            "embedding = ?, reading = ? WHERE id = ?",
            ((one.model, one.weights_sha256, sha, str(list(one.prompts)).replace("'", '"'), next(vectors), said, key)
             for key in waiting),
        )  # fmt: skip


if __name__ == "__main__":
    main()
