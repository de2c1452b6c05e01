# SPDX-License-Identifier: Apache-2.0
"""The widgets of the effect: what they show, and what the user has chosen in them. No decisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from UniBiomedSegmentLib.ChoiceBox import ChoiceBox
from UniBiomedSegmentLib.Choices import AUTO
from UniBiomedSegmentLib.PromptLine import PromptLine
from UniBiomedSlicerLib.Signal import Signal

from . import EffectWords
from .EffectWriting import ADD, REMOVE, REPLACE
from .SearchPlane import SLICE, VOLUME

_UI = Path(__file__).parents[1] / "Resources" / "UI" / "SegmentEditorUniBiomed.ui"


class EffectPanel:
    """``changed()`` follows every choice of the user, ``returnPressed()`` Return in the prompt; the others are the
    buttons."""

    def __init__(self) -> None:
        self.changed = Signal("EffectPanel.changed")
        self.returnPressed = Signal("EffectPanel.returnPressed")
        self.runPressed = Signal("EffectPanel.runPressed")
        self.applyPressed = Signal("EffectPanel.applyPressed")
        self.addPressed = Signal("EffectPanel.addPressed")
        self.discardPressed = Signal("EffectPanel.discardPressed")
        self.scope, self.modality, self.operation = VOLUME, AUTO, ADD
        self.knownModality: str | None = None
        self.widget = slicer.util.loadUI(str(_UI))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        # Esc belongs to the Segment Editor.
        self.prompt = PromptLine(self.ui.promptEdit, self.ui.feedbackLabel, self.chosenModality, takesEscape=False)
        self.prompt.changed.connect(self.changed.emit)
        self.prompt.applied.connect(self.returnPressed.emit)
        self._scope = ChoiceBox(self.ui.scopeBox, self._onScope)
        self._modality = ChoiceBox(self.ui.modalityBox, self._onModality)
        self._operation = ChoiceBox(self.ui.operationBox, self._onOperation)
        self._operation.setEntries(
            [
                (ADD, _("Add to the segment")),
                (REPLACE, _("Replace the segment where it was looked")),
                (REMOVE, _("Remove from the segment")),
            ]
        )
        self._buttons = [
            (self.ui.runButton, self._onRun),
            (self.ui.applyButton, self._onApply),
            (self.ui.addButton, self._onAdd),
            (self.ui.discardButton, self._onDiscard),
        ]
        for button, slot in self._buttons:
            button.connect("clicked(bool)", slot)
        self.showRunning(False)
        self.showResult(False)

    @property
    def promptText(self) -> str:
        """The prompt as it was typed."""
        return self.ui.promptEdit.text

    def setChoices(self, prompt: str, scope: str, modality: str, operation: str) -> None:
        """Show what the parameter node holds; nobody is told."""
        if prompt != self.ui.promptEdit.text:
            blocked = self.ui.promptEdit.blockSignals(True)
            self.ui.promptEdit.setText(prompt)
            self.ui.promptEdit.blockSignals(blocked)
            self.prompt.refresh()
        self.scope, self.modality, self.operation = scope, modality, operation
        self._scope.setValue(scope)
        self._modality.setValue(modality)
        self._operation.setValue(operation)

    def setViews(self, names: Sequence[str]) -> None:
        """Offer these slice views."""
        entries = [(SLICE + name, _("Slice in the {view} view").format(view=name)) for name in names]
        self._scope.setEntries([*entries, (VOLUME, _("Whole volume"))])

    def setModalities(self, words: Sequence[str], known: str | None) -> None:
        """Offer these modalities; ``known`` is that of the source volume, where it can be told."""
        self.knownModality = known
        automatic = _("Automatic ({modality})").format(modality=known) if known else _("Automatic")
        self._modality.setEntries([(AUTO, automatic), *((word, word) for word in words)])
        self.prompt.refresh()

    def chosenModality(self) -> str | None:
        """The modality for the engine; None where it is not known."""
        return self.knownModality if self.modality == AUTO else self.modality

    def showRunning(self, isRunning: bool, isCancelling: bool = False) -> None:
        """The button that starts is the one that cancels."""
        self.ui.runButton.setText(_("Cancel") if isRunning else _("Find"))
        self.ui.runButton.setEnabled(not isCancelling)
        self.ui.progressBar.setVisible(isRunning)

    def showProgress(self, stage: str, fraction: float | None, secondsLeft: float | None) -> None:
        """How far it is; without ``fraction`` the bar only moves."""
        self.ui.progressBar.setRange(0, 0 if fraction is None else 100)
        if fraction is not None:
            self.ui.progressBar.setValue(round(100 * fraction))
        self.ui.progressBar.setFormat(EffectWords.progress(stage, fraction, secondsLeft))

    def showResult(self, isThere: bool, canApply: bool = False) -> None:
        """The three buttons below a result."""
        for button in (self.ui.applyButton, self.ui.addButton, self.ui.discardButton):
            button.setVisible(isThere)
        self.ui.applyButton.setEnabled(canApply)

    def say(self, sentence: str) -> None:
        """Show a sentence; "" shows none."""
        self.ui.statusLabel.setText(sentence)
        self.ui.statusLabel.setVisible(bool(sentence))

    def cleanup(self) -> None:
        """Let go of the widgets."""
        for button, slot in self._buttons:
            button.disconnect("clicked(bool)", slot)
        self._buttons.clear()
        for part in (self.prompt, self._scope, self._modality, self._operation):
            part.cleanup()
        buttons = (self.runPressed, self.applyPressed, self.addPressed, self.discardPressed)
        for signal in (self.changed, self.returnPressed, *buttons):
            signal.disconnectAll()

    def _onScope(self, value: str) -> None:
        self.scope = value
        self.changed.emit()

    def _onModality(self, value: str) -> None:
        self.modality = value
        self.prompt.refresh()
        self.changed.emit()

    def _onOperation(self, value: str) -> None:
        self.operation = value
        self.changed.emit()

    def _onRun(self, checked: bool = False) -> None:
        self.runPressed.emit()

    def _onApply(self, checked: bool = False) -> None:
        self.applyPressed.emit()

    def _onAdd(self, checked: bool = False) -> None:
        self.addPressed.emit()

    def _onDiscard(self, checked: bool = False) -> None:
        self.discardPressed.emit()
