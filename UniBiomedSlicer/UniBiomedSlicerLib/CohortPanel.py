# SPDX-License-Identifier: Apache-2.0
"""The page for reviewing a cohort: the queue with pictures, and the decision about the case that is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.CohortReview import STRATEGIES, CohortReview
from UniBiomedSlicerLib.CohortTrainingPanel import CohortTrainingPanel
from UniBiomedSlicerLib.PanelTools import Question, loadPanel, showText
from UniBiomedSlicerLib.Settings import settings

_REVIEWER = "UniBiomed/Cohort/Reviewer"
_FOLDER = "UniBiomed/Cohort/Folder"


class CohortPanel:
    """``pythonPath()`` gives the engine's interpreter, None where the engine is not installed."""

    def __init__(self, pythonPath: Callable[[], str | None]) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerCohort")
        self.review: CohortReview | None = None
        self._question: Question | None = None
        self._pythonPath = pythonPath
        self._settings = qt.QSettings()
        self.training = CohortTrainingPanel(settings())
        ui = self.ui
        ui.trainingBox.layout().addWidget(self.training.widget)
        labels = {
            "least-confident": _("Least confident first"),
            "most-disagreement": _("Most disagreement first"),
            "most-different": _("Most different first"),
            "random": _("Random order"),
        }
        for name in STRATEGIES:
            ui.strategyCombo.addItem(labels[name], name)
        ui.reviewerEdit.setText(str(self._settings.value(_REVIEWER) or ""))
        ui.folderEdit.filters = ctk.ctkPathLineEdit.Dirs  # else its button asks for a file
        ui.folderEdit.currentPath = str(self._settings.value(_FOLDER) or "")
        ui.openButton.connect("clicked()", self._onOpen)
        ui.nextButton.connect("clicked()", self._onNext)
        ui.acceptButton.connect("clicked()", self._onAccept)
        ui.rejectButton.connect("clicked()", self._onReject)
        ui.undoButton.connect("clicked()", self._onUndo)
        ui.strategyCombo.connect("activated(int)", self._onStrategy)
        ui.reviewerEdit.connect("editingFinished()", self._onReviewer)
        ui.caseList.connect("itemDoubleClicked(QListWidgetItem*)", self._onChosen)
        self._say("")
        self._show()

    def cleanup(self) -> None:
        """End the review; every decision is on disk already."""
        self.training.cleanup()
        if self._question is not None:
            self._question.cleanup()
            self._question = None
        if self.review is not None:
            self.review.cleanup()
            self.review = None

    def openFolder(self, folder: str) -> None:
        """Open the catalogue in ``folder`` in place of the one that is open."""
        python = self._pythonPath()
        if not python:
            self._say(_("The engine is not installed; install it under Getting started."))
            return
        self.cleanup()
        self._settings.setValue(_FOLDER, folder)
        self.review = CohortReview(folder, python)
        self.review.changed.connect(self._show)
        self.review.failed.connect(self._say)
        self.training.open(folder, python)
        self._say("")

    def _onOpen(self) -> None:
        self.openFolder(str(self.ui.folderEdit.currentPath))

    def _onStrategy(self, index: int) -> None:
        if self.review is not None:
            self.review.setStrategy(STRATEGIES[index])

    def _onReviewer(self) -> None:
        self._settings.setValue(_REVIEWER, self.ui.reviewerEdit.text)

    def _onChosen(self, item: Any) -> None:
        if self.review is not None:
            self._load(item.data(qt.Qt.UserRole))

    def _onNext(self) -> None:
        self._say("")
        if self.review is not None and (case := self.review.nextCase()):
            self._load(case)

    def _load(self, case: str) -> None:
        """Load a case; where that would lose what the reviewer has drawn, ask first."""
        review = self.review
        if not review.isCorrected():
            review.open(case)
            return

        def answered(agreed: bool) -> None:
            self._question = None
            if agreed and self.review is review:
                review.open(case, drop=True)

        self._question = Question(
            _("Drop the changes of {case}?").format(case=review.current),
            _("They were not accepted. Accept keeps them as a correction."),
            _("Drop them"),
            answered,
        )

    def _onAccept(self) -> None:
        self._decide(lambda review, name, note: review.accept(name, note))

    def _onReject(self) -> None:
        self._decide(lambda review, name, note: review.reject(name, note))

    def _onUndo(self) -> None:
        self._say("")
        if self.review is not None:
            self.review.undo()

    def _decide(self, decision: Callable[[CohortReview, str, str], None]) -> None:
        self._say("")
        if self.review is not None:
            decision(self.review, self.ui.reviewerEdit.text, self.ui.noteEdit.text)
            self.ui.noteEdit.setText("")

    def _say(self, text: str) -> None:
        showText(self.ui.messageLabel, text)

    def _show(self) -> None:
        review, ui = self.review, self.ui
        showText(ui.stateLabel, review.stateText if review is not None and review.status else "")
        current = review.current if review is not None else ""
        showText(ui.currentLabel, _("Open: {case}").format(case=current) if current else "")
        cases = review.cases if review is not None else []
        ui.caseList.clear()
        for case in cases:
            item = qt.QListWidgetItem(_caseText(case))
            item.setData(qt.Qt.UserRole, case["id"])
            picture = Path(review.folder) / "automatic" / case["id"] / "thumbnail.png"
            if picture.is_file():
                item.setIcon(qt.QIcon(str(picture)))
            ui.caseList.addItem(item)
        ui.nextButton.setEnabled(bool(cases))
        for button in (ui.acceptButton, ui.rejectButton):
            button.setEnabled(bool(current))
        ui.undoButton.setEnabled(review is not None and review.status.get("reviewed", 0) > 0)


def _caseText(case: dict[str, Any]) -> str:
    parts = [_("{count} segments").format(count=case["segments"])]
    parts.append(_("confidence {value:.2f}").format(value=case["confidence"]))
    if case["disagreement"] is not None:
        parts.append(_("disagreement {value:.2f}").format(value=case["disagreement"]))
    return f"{case['id']}\n{', '.join(parts)}"
