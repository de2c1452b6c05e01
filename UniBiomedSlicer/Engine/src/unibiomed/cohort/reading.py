# SPDX-License-Identifier: Apache-2.0
"""What a case was taken for and what was found in it: the part of its record that tables and overviews count."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from unibiomed.tasks.results import Interpretation, SegmentationResult


@dataclass(frozen=True)
class Reading:
    """``rule`` is the number of the plan's rule, from 1; ``window`` the name of the one that was used.

    ``findings``: name and confidence of each abnormality of a prompt-free case, None where targets were asked for.
    ``left_out``: sentences about files of the plan's outputs that this case has not, and why.
    """

    modality: str
    site: str | None
    window: str
    rule: int | None = None
    findings: tuple[tuple[str, float], ...] | None = None
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, result: SegmentationResult | Interpretation, rule: int | None, left_out: tuple[str, ...] = ()
    ) -> Reading:
        """The reading of ``result``."""
        made = result.provenance
        is_free = isinstance(result, Interpretation)
        found = tuple((item.target, round(item.confidence, 4)) for item in result.findings) if is_free else None
        modality = result.modality if is_free else made.modality
        site = result.site if is_free else made.site
        return cls(modality, site, str(made.window.get("name", "")), rule, found, left_out)

    def to_text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str | None) -> Reading | None:
        """What ``to_text`` wrote; None for a case of a catalogue from before there were readings."""
        if not text:
            return None
        found = json.loads(text)
        findings = found["findings"]
        return cls(
            found["modality"],
            found["site"],
            found["window"],
            found["rule"],
            None if findings is None else tuple((name, confidence) for name, confidence in findings),
            tuple(found["left_out"]),
        )
