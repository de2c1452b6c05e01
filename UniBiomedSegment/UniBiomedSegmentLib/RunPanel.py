# SPDX-License-Identifier: Apache-2.0
"""Apply and Cancel, the progress of a job, what became of it, and the bar that offers a result that no longer fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSegmentLib.Wording import timeLeft

_ICON = 16


class RunPanel:
    """``ui`` has applyButton, progressBar, messageFrame, messageIconLabel, messageLabel, offerFrame, offerLabel,
    addAsNewButton and discardButton. ``startRun()`` begins a run and returns it, or None when it cannot.
    ``onFinished(run)`` follows the end of each run, and of what was offered."""

    def __init__(self, ui: Any, logic: Any, startRun: Callable[[], Any], onFinished: Callable[[Any], None]) -> None:
        self._ui = ui
        self._logic = logic
        self._startRun = startRun
        self._onFinished = onFinished
        self._run: Any = None
        self._problem = ""
        self._saidProblem = False
        self._connections = [
            (ui.applyButton, self._onApplyOrCancel),
            (ui.addAsNewButton, self._onAddAsNew),
            (ui.discardButton, self._onDiscard),
        ]
        for button, slot in self._connections:
            button.connect("clicked(bool)", slot)
        self.say("")
        self._refresh()

    @property
    def run(self) -> Any:
        """The run that is on its way, or None."""
        return self._run

    def setProblem(self, problem: str) -> None:
        """Why nothing can be applied now, in one sentence; "" if it can."""
        if self._saidProblem and problem != self._problem:
            self.say("")
        self._problem = problem
        self._refresh()

    def apply(self) -> None:
        """Start, or say why not; nothing while a run is on its way."""
        if self._run is not None:
            return
        if self._problem:
            self.say(self._problem, qt.QStyle.SP_MessageBoxInformation)
            self._saidProblem = True
            return
        self.say("")
        run = self._startRun()
        if run is None:
            return
        self._run = run
        run.progressed.connect(self._onProgress)
        run.noticed.connect(self._onNotice)
        run.stateChanged.connect(self._onState)
        run.finished.connect(self._onRunFinished)
        run.settled.connect(self._onRunSettled)
        self._onProgress("preparing", None, None)
        self._refresh()

    def cancel(self) -> None:
        """Stop the run, if one is on its way."""
        if self._run is not None:
            self._run.cancel()

    def say(self, sentence: str, icon: Any = None) -> None:
        """Show a sentence below the button; ``icon`` is a QStyle.StandardPixmap."""
        self._saidProblem = False
        self._ui.messageFrame.setVisible(bool(sentence))
        self._ui.messageLabel.setText(sentence)
        self._ui.messageIconLabel.setVisible(icon is not None)
        if icon is not None:
            self._ui.messageIconLabel.setPixmap(self._ui.applyButton.style().standardIcon(icon).pixmap(_ICON, _ICON))

    def cleanup(self) -> None:
        """Let go of the widgets and of the run, which goes on by itself."""
        for button, slot in self._connections:
            button.disconnect("clicked(bool)", slot)
        self._connections.clear()
        if self._run is not None:
            self._run.progressed.disconnect(self._onProgress)
            self._run.noticed.disconnect(self._onNotice)
            self._run.stateChanged.disconnect(self._onState)
            self._run.finished.disconnect(self._onRunFinished)
            self._run.settled.disconnect(self._onRunSettled)
            self._run = None

    def _refresh(self) -> None:
        button, running = self._ui.applyButton, self._run is not None
        self._ui.progressBar.setVisible(running)
        if running:
            cancelling = self._run.state != "running"
            button.setText(_("Cancelling...") if self._run.state == "cancelling" else _("Cancel"))
            button.enabled = not cancelling
            button.toolTip = _("Stop; nothing is changed.")
        else:
            button.setText(_("Apply"))
            button.enabled = not self._problem
            button.toolTip = self._problem or _("Segment the targets.")
        self._refreshOffers()

    def _refreshOffers(self) -> None:
        offers = self._logic.offeredRuns()
        self._ui.offerFrame.setVisible(bool(offers))
        if not offers:
            return
        run, more = offers[0], len(offers) - 1
        targets = ", ".join(run.request.targets)
        text = _("{reason} The result for {targets} was kept, but not put into the scene.").format(
            reason=run.message, targets=targets
        )
        if more:
            text += " " + _("({count} more are waiting.)").format(count=more)
        self._ui.offerLabel.setText(text)

    def _onApplyOrCancel(self, checked: bool = False) -> None:
        if self._run is None:
            self.apply()
        else:
            self.cancel()

    def _onAddAsNew(self, checked: bool = False) -> None:
        for run in self._logic.offeredRuns()[:1]:
            run.addAsNew()
        self._refreshOffers()

    def _onDiscard(self, checked: bool = False) -> None:
        for run in self._logic.offeredRuns()[:1]:
            run.discard()
        self._refreshOffers()

    def _onProgress(self, stage: str, fraction: float | None = None, secondsLeft: float | None = None) -> None:
        bar = self._ui.progressBar
        # A bar without an end (0, 0) would show no text in most styles.
        bar.setValue(0 if fraction is None else round(100 * fraction))
        words = [_stageInWords(stage)]
        if fraction is not None:
            words.append(f"{round(100 * fraction)} %")
        if left := timeLeft(secondsLeft):
            words.append(left)
        bar.setFormat(", ".join(words))

    def _onNotice(self, sentence: str) -> None:
        self.say(sentence, qt.QStyle.SP_MessageBoxInformation)

    def _onState(self, run: Any) -> None:
        if run is self._run:
            if run.state == "writing":
                self._onProgress("writing", None, None)
            self._refresh()

    def _onRunFinished(self, run: Any) -> None:
        if run is self._run:
            self._run = None
        if run.state == "failed":
            self.say(run.message, qt.QStyle.SP_MessageBoxWarning)
        elif run.state == "cancelled":
            self.say(run.message)
        elif run.state == "done":
            notices = [*run.notices[-1:], *([run.message] if run.message else [])]
            self.say(" ".join(notices), qt.QStyle.SP_MessageBoxInformation if notices else None)
        else:
            self.say("")
        self._refresh()
        self._onFinished(run)

    def _onRunSettled(self, run: Any) -> None:
        if run.state == "failed":
            self.say(run.message, qt.QStyle.SP_MessageBoxWarning)
        self._refreshOffers()
        self._onFinished(run)


def _stageInWords(stage: str) -> str:
    known = {
        "preparing": _("Preparing the volume"),
        "compressing": _("Compressing the volume"),
        "uploading": _("Handing the volume over"),
        "queued": _("Waiting for the engine"),
        "segment": _("Segmenting"),
        "find key slice": _("Looking for the surest slice"),
        "propagate": _("Following the target"),
        "writing": _("Adding the segments"),
    }
    return known.get(stage, _("Segmenting"))
