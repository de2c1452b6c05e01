# SPDX-License-Identifier: Apache-2.0
"""How the environment stands, in a word and in a sentence; found out from some small files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from UniBiomedSlicerLib.EngineSource import EngineSource
from UniBiomedSlicerLib.EnvironmentRecord import pythonOf, readRecord
from UniBiomedSlicerLib.Interpreter import interpreterOf
from UniBiomedSlicerLib.Settings import Settings

ABSENT = "absent"
READY = "ready"
CHANGED = "changed"
OUTDATED = "outdated"
BROKEN = "broken"
EXTERNAL = "external"


@dataclass(frozen=True)
class EnvironmentState:
    """``kind`` is one of the constants above; ``text`` one sentence that says it; ``usable``: an engine can start."""

    kind: str
    text: str
    usable: bool


def stateOf(settings: Settings, root: Path, source: EngineSource) -> EnvironmentState:
    """The state of the interpreter in use, or of the managed environment in ``root`` beside the engine ``source``."""
    if settings.interpreterInUse:
        path = interpreterOf(settings.interpreterInUse)
        if path is None:
            return EnvironmentState(
                BROKEN,
                _("The interpreter {path} is not there any more; choose another one.").format(
                    path=settings.interpreterInUse
                ),
                False,
            )
        return EnvironmentState(EXTERNAL, _("Your own interpreter is used: {path}").format(path=path), True)
    record = readRecord(root)
    if record is None:
        return EnvironmentState(ABSENT, _("Nothing is installed yet."), False)
    if not pythonOf(root / record.folder).exists():
        return EnvironmentState(
            BROKEN, _("The environment in {folder} is damaged; repair it.").format(folder=root), False
        )
    if record.version != source.version():
        return EnvironmentState(
            OUTDATED,
            _("The environment holds engine {old}, this extension needs {new}; upgrade it.").format(
                old=record.version, new=source.version()
            ),
            False,
        )
    text = _("Engine {version}, PyTorch {torch}, Python {python}. {reason}").format(
        version=record.version, torch=record.torch, python=record.python, reason=record.reason
    )
    if record.fingerprint != source.fingerprint():
        return EnvironmentState(CHANGED, text + " " + _("The extension's engine has changed since; upgrade."), True)
    return EnvironmentState(READY, text, True)
