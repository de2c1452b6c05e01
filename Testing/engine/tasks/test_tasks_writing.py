# SPDX-License-Identifier: Apache-2.0
"""The text of a report, an answer and a description is told while it is written."""

from __future__ import annotations

import itertools

import pytest
from unibiomed.errors import Cancelled
from unibiomed.tasks import answer, describe, report

TASKS = {
    "report": lambda model, volume, **how: report(model, volume, slice_index=4, **how),
    "answer": lambda model, volume, **how: answer(model, volume, anatomy="liver", slice_index=4, **how),
    "describe": lambda model, volume, **how: describe(model, volume, (8, 6, 30, 26), slice_index=4, **how),
}


@pytest.mark.parametrize("task", TASKS)
def test_the_text_grows_word_by_word_without_tags_to_that_of_the_result(task, model, volume):
    events = []
    result = TASKS[task](model, volume, progress=events.append)
    said = [event.text for event in events if event.text]
    assert said[-1] == result.text
    assert len(said) > 3
    assert all(len(later) >= len(earlier) for earlier, later in itertools.pairwise(said))
    assert not any("<p>" in text or "[SEG]" in text for text in said)


@pytest.mark.parametrize("task", TASKS)
def test_a_stop_is_heeded_in_the_middle_of_a_sentence(task, model, volume):
    events = []
    with pytest.raises(Cancelled):
        TASKS[task](model, volume, progress=events.append, cancelled=lambda: sum(bool(e.text) for e in events) >= 2)
    assert sum(bool(event.text) for event in events) == 2
