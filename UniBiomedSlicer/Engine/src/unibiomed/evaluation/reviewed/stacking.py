# SPDX-License-Identifier: Apache-2.0
"""All pictures of a case as one volume again, for what is asked of a whole case."""

from __future__ import annotations

import numpy as np

from unibiomed.evaluation.export_facts import CaseFacts, HowFacts
from unibiomed.evaluation.reviewed.cases import Opened, OpenedVolume
from unibiomed.volumes.geometry import LPS_TO_RAS
from unibiomed.volumes.masks import BoxMask
from unibiomed.volumes.volume import Source, Volume


def stacked(facts: CaseFacts, opened: Opened) -> OpenedVolume:
    """The pictures as axial colour slices, as they are shown: the window is in them already."""
    shown = [opened.picture(index) for index in range(len(opened))]
    row, column, between = facts.picture_mm
    volume = Volume(
        np.stack([one.image for one in shown]),
        LPS_TO_RAS @ np.diag([column, row, between, 1.0]),
        facts.modality,
        Source(description=facts.name),
        spatial=facts.spatial,
    )
    phrases = dict.fromkeys(phrase for one in shown for phrase in one.masks)
    nothing = np.zeros(shown[0].image.shape[:2], dtype=bool)
    truth = {
        phrase: BoxMask.from_full(np.stack([one.masks.get(phrase, nothing) for one in shown])) for phrase in phrases
    }
    how = HowFacts(modality=facts.how.modality, site=facts.how.site, anatomy=facts.how.anatomy, axis="axial")
    return OpenedVolume(facts.model_copy(update={"how": how}), volume, truth)
