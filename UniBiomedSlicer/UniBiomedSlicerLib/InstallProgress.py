# SPDX-License-Identifier: Apache-2.0
"""How far an installation is, read from the lines of uv."""

from __future__ import annotations

import re

from slicer.i18n import tr as _

from UniBiomedSlicerLib.DiskUse import sizeText

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class InstallProgress:
    """The fraction of the whole, by the place of the step among the steps and the megabytes that uv has announced.

    ``places`` gives each step's title the fraction at its start; the fraction at the end of the last is 1.
    """

    def __init__(self, places: dict[str, float]) -> None:
        self._places = places
        self._title = ""
        self._announced: dict[str, float] = {}
        self._arrived = 0.0

    def start(self, title: str) -> tuple[str, float]:
        """A step begins: text and fraction to show."""
        self._title = title
        self._announced = {}
        self._arrived = 0.0
        return title, self._place(title)

    def line(self, line: str) -> tuple[str, float] | None:
        """A line of output: text and fraction to show, None when it says nothing of progress."""
        text = line.strip()
        begun = re.fullmatch(r"Downloading (\S+) \(([\d.]+)([KMG]?i?B)\)", text)
        if begun:
            self._announced[begun[1]] = float(begun[2]) * _UNITS.get(begun[3], 1)
            return self._state(_("downloading {package}").format(package=begun[1]))
        ended = re.fullmatch(r"Downloaded (\S+)", text)
        if ended:
            self._arrived += self._announced.get(ended[1], 0.0)
            return self._state(_("{package} has arrived").format(package=ended[1]))
        if re.match(r"(Resolved|Prepared|Installed) \d+ package", text):
            return self._state(text[0].lower() + text[1:])
        return None

    def _state(self, what: str) -> tuple[str, float]:
        begin = self._place(self._title)
        later = [place for place in self._places.values() if place > begin]
        end = min(later) if later else 1.0
        total = sum(self._announced.values())
        within = self._arrived / total if total else 0.0
        amount = f" ({sizeText(self._arrived)} / {sizeText(total)})" if total else ""
        return f"{self._title}: {what}{amount}", begin + (end - begin) * min(within, 1.0)

    def _place(self, title: str) -> float:
        return self._places.get(title, 0.0)
