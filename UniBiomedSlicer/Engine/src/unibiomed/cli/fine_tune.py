# SPDX-License-Identifier: Apache-2.0
"""``unibiomed train --from MODEL --data EXPORT``: a model learns from what reviewers corrected."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from unibiomed.cli.opening import check_folder
from unibiomed.cli.terminal import ProgressStyle, Terminal, Work
from unibiomed.errors import Cancelled, InputError


def fine_tune_command(
    output: Path, start: str | None, data: Path, name: str | None, given: Mapping[str, Any], terminal: Terminal
) -> None:
    """Fine-tune ``start`` on the export ``data`` and put the result into the list of models as ``name``.

    ``given`` holds what of ``FineTuneOptions`` the user said, None where nothing was said.
    """
    if start is None:
        raise InputError("Say with --from which model is to learn from the data, for example --from mini.")
    check_folder(output)
    from unibiomed.model.store import ModelStore

    store = ModelStore()
    folder = store.path(start)
    called = name or _default_name(start, data)
    # Before hours of work, not after.
    store.check_free(called)
    try:
        from unibiomed.evaluation.fit_exported import fit_exported
        from unibiomed.training.fine_tune import FineTuneOptions, fine_tune
    except ModuleNotFoundError as error:
        raise InputError(f"Training needs {error.name}; install it with pip install 'unibiomed[training]'.") from error
    said = {key: value for key, value in given.items() if value is not None}
    options = FineTuneOptions(out=output, start=folder, data=data, name=called, **said)
    with _telling(terminal, options.steps) as (work, tell):
        model = fine_tune(
            options,
            needs=lambda needs: tell({"needs": {**vars(needs), "text": str(needs)}}, str(needs)),
            report=lambda r: tell(
                r, f"step {r['step']} of {options.steps}: loss {r['loss']:.4f}, {r['seconds']:.0f} s"
            ),
            looked=lambda look: tell(
                {"held_out": vars(look)}, f"held out, step {look.step}: loss {look.loss:.4f}, soft Dice {look.dice:.3f}"
            ),
            stop=work.cancelled,
            presence=lambda tuned: fit_exported(tuned, data, seed=options.seed, cancelled=work.cancelled),
        )
    if model is None:
        raise Cancelled(f"The training was stopped; run the same command again to go on with {output}.")
    stored = store.import_folder(model, called)
    tuned = json.loads((model / "unibiomed.json").read_text(encoding="utf-8"))["fine_tuned"]
    terminal.show(
        None,
        f"The model {stored.name} is in the list of models (folder {stored.folder}); curves: {output / 'curves.png'}",
        f"{tuned['steps']} steps done, the weights of step {tuned['kept_step']} kept. See whether it is better: "
        f"unibiomed evaluate --data {data} --model {start} --compare {stored.name}",
    )


@contextmanager
def _telling(terminal: Terminal, steps: int) -> Iterator[tuple[Work, Any]]:
    """A bar and remarks for a person, or lines of JSON for a program."""
    lines = terminal.progress is ProgressStyle.LINES
    shown = Terminal(quiet=True) if lines else terminal
    with shown.working("steps") as work:

        def tell(record: dict[str, Any], text: str) -> None:
            if lines:
                print(json.dumps({**record, "steps": steps}), file=sys.stderr, flush=True)
                return
            if "step" in record:
                work.progress(SimpleNamespace(stage="Training", done=record["step"], total=steps))
            terminal.note(text)

        yield work, tell


def _default_name(start: str, data: Path) -> str:
    words = f"{Path(start).name}-{data.resolve().name}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words)[:90].strip("-._") or "fine-tuned"
