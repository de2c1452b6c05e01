# SPDX-License-Identifier: Apache-2.0
"""The page for reviewing a cohort: the queue with pictures, and the decision about the case that is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.CohortReview import STRATEGIES, CohortReview
from UniBiomedSlicerLib.CohortText import CohortText
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
        self._notes: dict[str, str] = {}
        self._pythonPath = pythonPath
        self._settings = qt.QSettings()
        self.training = CohortTrainingPanel(settings())
        ui = self.ui
        self.text = CohortText(ui)
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
        ui.startOverButton.connect("clicked()", self._onStartOver)
        ui.strategyCombo.connect("activated(int)", self._onStrategy)
        ui.reviewerEdit.connect("editingFinished()", self._onReviewer)
        ui.noteEdit.connect("textEdited(QString)", self._onNote)
        ui.caseList.connect("itemActivated(QListWidgetItem*)", self._onChosen)
        self._say("")
        self._show()

    def cleanup(self) -> None:
        """End the review; decisions are on disk already, and what is not decided is sent as a draft."""
        self._close()
        self.text.cleanup()

    def _close(self) -> None:
        self.training.cleanup()
        if self._question is not None:
            self._question.cleanup()
            self._question = None
        self._notes = {}
        self.ui.noteEdit.setText("")
        if self.review is not None:
            self.text.show(None)
            self.review.cleanup()
            self.review = None

    def openFolder(self, folder: str) -> None:
        """Open the catalogue in ``folder`` in place of the one that is open."""
        python = self._pythonPath()
        if not python:
            self._say(_("The engine is not installed; install it under Getting started."))
            return
        if self.review is not None:
            self.review.closeCase()
        self._close()
        self._settings.setValue(_FOLDER, folder)
        self.review = CohortReview(folder, python)
        self._named()
        self.review.changed.connect(self._show)
        self.review.opened.connect(self._onOpened)
        self.review.decided.connect(self._onDecided)
        self.review.failed.connect(self._say)
        self.training.open(folder, python)
        self._say("")
        self._show()

    def _onOpen(self) -> None:
        self.openFolder(str(self.ui.folderEdit.currentPath))

    def _onStrategy(self, index: int) -> None:
        if self.review is not None:
            self.review.setStrategy(STRATEGIES[index])

    def _onReviewer(self) -> None:
        self._settings.setValue(_REVIEWER, self.ui.reviewerEdit.text)
        self._named()

    def _named(self) -> CohortReview | None:
        """The review, told whose it is: a shortcut is no end of editing, and no half of a name gets a draft."""
        if self.review is not None:
            self.review.reviewer = self.ui.reviewerEdit.text
        return self.review

    def _onChosen(self, item: Any) -> None:
        self._say("")
        if (review := self._named()) is not None:
            review.open(item.data(qt.Qt.UserRole))

    def _onNext(self) -> None:
        self._say("")
        if (review := self._named()) is not None:
            review.next()

    def _onOpened(self) -> None:
        self.text.show(self.review)
        self.ui.noteEdit.setText(self._notes.get(self.review.current, ""))

    def _onNote(self, text: str) -> None:
        """A note waits with its case until that is decided, whatever is opened in between."""
        if self.review is not None:
            self._notes[self.review.current] = text

    def _onDecided(self, case: str) -> None:
        self._notes.pop(case, None)
        if self.review is not None and self.review.current == case:
            self.ui.noteEdit.setText("")

    def _onStartOver(self) -> None:
        """Drop what was changed after a question: nothing else on this page loses work."""
        review = self._named()
        case = review.current if review is not None else ""
        if not case:
            return

        def answered(agreed: bool) -> None:
            self._question = None
            if agreed and self.review is review and review.current == case:
                self._say("")
                review.startOver()

        self._question = Question(
            _("Drop the changes of {case}?").format(case=case),
            _("The case is loaded again as it stands in the catalogue; the draft of your changes is deleted."),
            _("Drop them"),
            answered,
        )

    def _onAccept(self) -> None:
        self._decide(lambda review, name, note: review.accept(name, note))

    def _onReject(self) -> None:
        self._decide(lambda review, name, note: review.reject(name, note))

    def _onUndo(self) -> None:
        self._say("")
        if (review := self._named()) is not None:
            review.undo()

    def _decide(self, decision: Callable[[CohortReview, str, str], None]) -> None:
        self._say("")
        if (review := self._named()) is not None:
            decision(review, self.ui.reviewerEdit.text, self.ui.noteEdit.text)

    def _say(self, text: str) -> None:
        showText(self.ui.messageLabel, text)

    def _show(self) -> None:
        review, ui = self.review, self.ui
        showText(ui.stateLabel, review.stateText if review is not None and review.status else "")
        current = review.current if review is not None else ""
        showText(ui.currentLabel, _currentText(review) if current else "")
        ui.noticeLabel.setVisible(bool(current))
        self.text.refresh()
        cases = review.cases if review is not None else []
        self._showQueue(cases)
        ui.nextButton.setEnabled(bool(cases))
        for widget in (ui.noteEdit, ui.acceptButton, ui.rejectButton, ui.startOverButton):
            widget.setEnabled(bool(current))
        ui.undoButton.setEnabled(review is not None and review.status.get("reviewed", 0) > 0)

    def _showQueue(self, cases: list[dict[str, Any]]) -> None:
        """List the cases that wait; a list of the same ones keeps its items, and so its place and what is chosen."""
        queue = self.ui.caseList
        if [queue.item(row).data(qt.Qt.UserRole) for row in range(queue.count)] != [case["id"] for case in cases]:
            chosen = queue.currentItem()
            chosenCase = chosen.data(qt.Qt.UserRole) if chosen is not None else ""
            queue.clear()
            for row, case in enumerate(cases):
                item = qt.QListWidgetItem()
                item.setData(qt.Qt.UserRole, case["id"])
                picture = Path(self.review.folder) / "automatic" / case["id"] / "thumbnail.png"
                if picture.is_file():
                    item.setIcon(qt.QIcon(str(picture)))
                queue.addItem(item)
                if case["id"] == chosenCase:
                    queue.setCurrentRow(row)
        for row, case in enumerate(cases):
            queue.item(row).setText(_caseText(case))


def _caseText(case: dict[str, Any]) -> str:
    parts = [_("{count} segments").format(count=case["segments"])]
    parts.append(_("confidence {value:.2f}").format(value=case["confidence"]))
    if case["disagreement"] is not None:
        parts.append(_("disagreement {value:.2f}").format(value=case["disagreement"]))
    if case["drafts"]:
        parts.append(_("draft"))
    return f"{case['id']}\n{', '.join(parts)}"


def _currentText(review: CohortReview) -> str:
    """Which case is open, what was decided, what of it is saved, and who else is at it."""
    parts = [_("Open: {case}.").format(case=review.current)]
    if review.decision is not None:
        said = {
            "accepted": _("Accepted by {name}."),
            "corrected": _("Corrected by {name}."),
            "rejected": _("Rejected by {name}."),
        }
        parts.append(said[review.decision["verdict"]].format(name=review.decision["reviewer"]))
    if review.draft is not None:
        parts.append(_("Your changes are saved as a draft ({time}).").format(time=_when(review.draft["at"])))
    for other in review.others:
        name = other["reviewer"] or _("Somebody without a name")
        parts.append(_("{name} has a draft of it ({time}).").format(name=name, time=_when(other["at"])))
    return " ".join(parts)


def _when(seconds: float) -> str:
    """The time, with the date where it is another day's."""
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%Y-%m-%d %H:%M", then)
