# SPDX-License-Identifier: Apache-2.0
"""What a cohort showed, counted: abnormal cases, findings by name, how sure, how long, by modality."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from unibiomed.cohort.catalogue import Catalogue

BINS = 10


@dataclass
class Named:
    """A finding by its name: in how many cases, and the sum of its best confidence in each."""

    cases: int = 0
    confidences: float = 0.0

    @property
    def mean_confidence(self) -> float:
        """0 to 1; a case counts once, with its surest finding of the name."""
        return self.confidences / self.cases


@dataclass
class OfModality:
    """What the cases of one modality took and showed; ``free`` of them were prompt-free, ``abnormal`` had findings."""

    cases: int = 0
    seconds: float = 0.0
    free: int = 0
    abnormal: int = 0

    @property
    def mean_seconds(self) -> float:
        """Mean time of a case."""
        return self.seconds / self.cases


@dataclass
class Tally:
    """Counts over the finished cases of a catalogue.

    ``histogram``: findings by confidence in ten equal bins from 0 to 1. ``left_out``: cases without one of the files
    that the plan asks for. Cases of catalogues from before there were readings count under the modality "unknown".
    """

    cases: int = 0
    seconds: float = 0.0
    free: int = 0
    abnormal: int = 0
    left_out: int = 0
    findings: dict[str, Named] = field(default_factory=dict)
    modalities: dict[str, OfModality] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)

    @property
    def mean_seconds(self) -> float:
        """Mean time of a case, 0 without any."""
        return self.seconds / self.cases if self.cases else 0.0

    def to_json(self) -> dict:
        """For ``--json``."""
        return {
            "cases": self.cases,
            "seconds_a_case": round(self.mean_seconds, 3),
            "prompt_free": self.free,
            "abnormal": self.abnormal,
            "without_an_output": self.left_out,
            "confidence_histogram": self.histogram,
            "findings": {
                name: {"cases": item.cases, "mean_confidence": round(item.mean_confidence, 4)}
                for name, item in self.findings.items()
            },
            "modalities": {
                name: {
                    "cases": item.cases,
                    "seconds_a_case": round(item.mean_seconds, 3),
                    "prompt_free": item.free,
                    "abnormal": item.abnormal,
                }
                for name, item in self.modalities.items()
            },
        }


def tally(catalogue: Catalogue) -> Tally:
    """Count what is done in ``catalogue``; findings the commonest first, modalities the most frequent first."""
    found = Tally()
    named: defaultdict[str, Named] = defaultdict(Named)
    modalities: defaultdict[str, OfModality] = defaultdict(OfModality)
    for seconds, reading in catalogue.readings():
        found.cases += 1
        found.seconds += seconds
        own = modalities[reading.modality if reading else "unknown"]
        own.cases += 1
        own.seconds += seconds
        if reading is None:
            continue
        found.left_out += bool(reading.left_out)
        if reading.findings is None:
            continue
        for counted in (found, own):
            counted.free += 1
            counted.abnormal += bool(reading.findings)
        best: dict[str, float] = {}
        for name, confidence in reading.findings:
            found.histogram[min(int(confidence * BINS), BINS - 1)] += 1
            best[name] = max(confidence, best.get(name, 0.0))
        for name, confidence in best.items():
            named[name].cases += 1
            named[name].confidences += confidence
    found.findings = dict(sorted(named.items(), key=lambda item: (-item[1].cases, item[0])))
    found.modalities = dict(sorted(modalities.items(), key=lambda item: (-item[1].cases, item[0])))
    return found
