# SPDX-License-Identifier: Apache-2.0
"""What this engine is and can do, in one document."""

from __future__ import annotations

from typing import Any

from unibiomed import __version__
from unibiomed.engine.engine import Engine
from unibiomed.engine.memory import device_state, machine_memory
from unibiomed.engine.parameters import TASKS
from unibiomed.engine.uploads import ENCODINGS
from unibiomed.engine.volume_store import DTYPES


def capabilities(engine: Engine) -> dict[str, Any]:
    """Versions apart from that of the protocol, see ``docs/protocol.md``. Takes up to a second the first time."""
    from unibiomed.volumes.modalities import MODALITIES, MRI_SEQUENCES
    from unibiomed.volumes.windows import WINDOWS

    model = engine.models.model
    return {
        "version": __version__,
        "device": device_state(model),
        "memory": machine_memory(),
        "models": engine.models.list(),
        "model": engine.models.describe(),
        "tasks": list(TASKS),
        "modalities": list(MODALITIES),
        "sequences": list(MRI_SEQUENCES),
        "windows": [window.to_json() for window in WINDOWS.values()],
        "targets": [] if model is None else _targets(model),
        "dtypes": list(DTYPES),
        "encodings": list(ENCODINGS),
        "limits": engine.limits.to_json(),
    }


def _targets(model: Any) -> list[dict[str, Any]]:
    from unibiomed.tasks.catalogue import catalogue_of
    from unibiomed.volumes.terminology import lookup, to_slicer_tag

    entries = []
    for target in catalogue_of(model).targets:
        term = lookup(target.phrase, kind=target.kind)
        entry = {"phrase": target.phrase, "name": target.name, "site": target.site, "modality": target.modality}
        entries.append({**entry, "kind": target.kind, "rgb": list(term.rgb), "terminology": to_slicer_tag(term)})
    return entries
