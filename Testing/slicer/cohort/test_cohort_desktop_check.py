# SPDX-License-Identifier: Apache-2.0
"""The steps that are run in desktop Slicer (Testing/desktop/cohort_page.py) hold in the stand-in too."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def test_every_step_of_the_desktop_check_holds(host, tmp_path):
    path = Path(__file__).resolve().parents[2] / "desktop" / "cohort_page.py"
    spec = importlib.util.spec_from_file_location("unibiomed_desktop_cohort", path)
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    host.useLibrary()
    from UniBiomedSlicerLib.CohortPanel import CohortPanel

    panel = CohortPanel(lambda: None)
    names = []
    for name, holds in check.steps(panel, str(tmp_path)):
        try:
            host.spin(until=holds, timeout=20)
        except AssertionError as error:
            raise AssertionError(f"not so: {name}") from error
        names.append(name)
    assert len(names) == 18
    panel.cleanup()
