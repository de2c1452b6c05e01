# SPDX-License-Identifier: Apache-2.0
"""From corrections to a better model: export, fine-tune, compare, as child processes of the managed Python.

Everything lands below the catalogue's folder (``training/<model name>``); a model is never overwritten, and the one
in use stays in use until the user says otherwise.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.ChildEnvironment import childEnvironment, engineVariables
from UniBiomedSlicerLib.ProcessSteps import ProcessSteps, Step, StepError
from UniBiomedSlicerLib.Settings import Settings
from UniBiomedSlicerLib.Signal import Signal


class CohortTraining:
    """Trains on one catalogue; one thing at a time, ``stop()`` ends it and a later ``train`` goes on.

    Signals: ``progressed(text, fraction | None)``; ``finished(ok, message)`` once for each ``train`` and ``compare``;
    the message is empty after ``stop()``. ``trained`` is the name of the newest model, ``comparison`` what ``compare``
    found: {"a", "b", "difference", "low", "high", "page"}.
    """

    def __init__(self, folder: str, python: str, settings: Settings) -> None:
        self.progressed = Signal("CohortTraining.progressed")
        self.finished = Signal("CohortTraining.finished")
        self.trained = ""
        self.comparison: dict[str, Any] | None = None
        self._folder = Path(folder)
        self._python = python
        self._settings = settings
        self._start = ""
        self._steps = ProcessSteps()
        self._steps.lineArrived.connect(self._onLine)
        self._steps.finished.connect(self._onFinished)

    def isRunning(self) -> bool:
        """Whether ``finished`` is still to come."""
        return self._steps.isRunning()

    def train(self, steps: int) -> None:
        """Export what was reviewed and fine-tune the model in use on it, ``steps`` optimizer steps at most."""
        self._start = self._settings.model
        number = 1
        while (self._folder / "training" / self._name(number) / "run" / "model").exists():
            number += 1
        name, place = self._name(number), self._folder / "training" / self._name(number)
        self.trained, self.comparison = name, None
        plan = []
        if not (place / "data").exists():
            # Half of a stopped export is never there: it is written under another name and renamed.
            arguments = ("export", str(self._folder), "-o", str(place / "data"), "-f", "unibiomed", "--quiet")
            arguments += ("--validation", "0.2", "--test", "0.2")
            plan.append(self._step(_("Exporting what was reviewed"), *arguments))
        arguments = ("train", "-o", str(place / "run"), "--from", self._start, "--data", str(place / "data"))
        arguments += ("--name", name, "--steps", str(steps), "--progress", "lines")
        plan.append(self._step(_("Training"), *arguments))
        self.progressed.emit(plan[0].title, None)
        self._steps.run(plan)

    def compare(self) -> None:
        """Hold the trained model against the one that it came from, on reviewed cases that it was not trained on."""
        place = self._folder / "training" / self.trained
        out = place / "comparison"
        arguments = ("evaluate", "--data", str(place / "data"), "--model", self._start or self._settings.model)
        arguments += ("--compare", self.trained, "-o", str(out), "--json")
        self.progressed.emit(_("Comparing"), None)
        self._steps.run([self._step(_("Comparing"), *arguments, onOutput=lambda text: self._onCompared(text, out))])

    def use(self) -> None:
        """Make the trained model the one in use, from the next start of the engine on."""
        self._settings.model = self.trained

    def stop(self) -> None:
        """End what runs; a training keeps its last checkpoint."""
        self._steps.cancel()

    def cleanup(self) -> None:
        """Kill what runs and tell nobody."""
        self.progressed.disconnectAll()
        self.finished.disconnectAll()
        self._steps.cleanup()

    def _name(self, number: int) -> str:
        base = self._settings.model.rsplit("/", 1)[-1]
        return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{base}-{self._cohortName()}-{number}")

    def _cohortName(self) -> str:
        """The catalogue's folder; of one in its usual place (COHORT/derivatives/unibiomed) that of the cohort."""
        place = self._folder.resolve()
        inside = (place.parent.name, place.name) == ("derivatives", "unibiomed")
        return (place.parents[1].name if inside else place.name) or "cohort"

    def _step(self, title: str, *arguments: str, onOutput: Any = None) -> Step:
        environment = childEnvironment(engineVariables(self._settings))
        program = ("-m", "unibiomed.cli", *arguments)
        return Step(title, self._python, program, environment, speaksPlainly=True, onOutput=onOutput)

    def _onLine(self, line: str) -> None:
        """Progress comes as lines of JSON; other lines are for the log."""
        try:
            told = json.loads(line)
        except ValueError:
            return
        if not isinstance(told, dict):
            return
        if "needs" in told:
            self.progressed.emit(str(told["needs"].get("text", "")), None)
        elif "step" in told and told.get("steps"):
            text = _("Step {step} of {steps}, loss {loss:.3f}").format(
                step=told["step"], steps=told["steps"], loss=told.get("loss", 0.0)
            )
            self.progressed.emit(text, told["step"] / told["steps"])
        elif "held_out" in told:
            look = told["held_out"]
            text = _("Step {step}: Dice {dice:.3f} on cases held out").format(step=look["step"], dice=look["dice"])
            self.progressed.emit(text, look["step"] / told["steps"] if told.get("steps") else None)

    def _onCompared(self, text: str, out: Path) -> None:
        try:
            document = json.loads(text)
            before, after = ((model["overall"]["dice"] or {}).get("value") for model in document["models"])
            paired = document["b_minus_a"][0]["dice"] if document["b_minus_a"] else None
            difference = paired["difference"] if paired else {}
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise StepError(
                _("The engine's answer could not be read ({error}); repair the environment.").format(error=error)
            ) from error
        self.comparison = {
            "a": before,
            "b": after,
            "difference": difference.get("value"),
            "low": difference.get("low"),
            "high": difference.get("high"),
            "page": str(out / "agreement.html"),
        }

    def _onFinished(self, ok: bool, message: str) -> None:
        self.finished.emit(ok, message.removeprefix("unibiomed: "))
