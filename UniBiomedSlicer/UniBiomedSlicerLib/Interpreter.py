# SPDX-License-Identifier: Apache-2.0
"""An interpreter of the user's: found from a file or a folder, and checked by running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.EnvironmentRecord import pythonOf
from UniBiomedSlicerLib.EnvironmentSteps import probeStep
from UniBiomedSlicerLib.ProcessSteps import ProcessSteps

Done = Callable[[bool, str, dict[str, Any]], None]


def interpreterOf(path: str) -> str | None:
    """The interpreter file that ``path`` (a file, or the folder of an environment) means; None when there is none."""
    chosen = Path(path).expanduser()
    if chosen.is_file():
        return str(chosen)
    candidates = (pythonOf(chosen), chosen / "python.exe", chosen / "bin" / "python3")
    return next((str(candidate) for candidate in candidates if candidate.is_file()), None)


def interpreterSentence(facts: dict[str, Any], version: str) -> str:
    """What a checked interpreter offers, and a warning when its engine is another version than the extension's."""
    device = facts.get("device") or ("MPS" if facts.get("mps") else _("processor only"))
    sentence = _("Engine {engine}, PyTorch {torch}, Python {python}, {device}.").format(
        engine=facts["unibiomed"], torch=facts["torch"], python=facts["python"], device=device
    )
    if facts["unibiomed"] != version:
        sentence += " " + _("This extension comes with engine {version}; the two may not fit.").format(version=version)
    return sentence


def checkInterpreter(interpreter: str, version: str, done: Done) -> ProcessSteps | None:
    """Run it and tell whether it can run the engine: ``done(ok, sentence, facts)``.

    ``version`` is that of the extension's engine, the facts are those of ``EnvironmentSteps.PROBE``. Returns what to
    keep until then; None where there is nothing to run.
    """
    path = interpreterOf(interpreter)
    if path is None:
        done(False, _("There is no Python interpreter at {path}.").format(path=interpreter), {})
        return None
    facts: dict[str, Any] = {}
    steps = ProcessSteps()
    steps.finished.connect(lambda ok, message: done(ok, interpreterSentence(facts, version) if ok else message, facts))
    steps.run([probeStep(_("Checking the interpreter"), path, Path.home(), facts.update)])
    return steps
