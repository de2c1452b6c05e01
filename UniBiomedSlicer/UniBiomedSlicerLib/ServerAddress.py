# SPDX-License-Identifier: Apache-2.0
"""The address of a remote engine as people type it, made into one that can be used, or refused with the reason."""

from __future__ import annotations

import re

import qt
from slicer.i18n import tr as _

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class AddressError(ValueError):
    """One sentence: why the address cannot be used."""


def isLoopback(url: str) -> bool:
    """Whether ``url`` is this computer itself."""
    return qt.QUrl(url).host().lower() in LOOPBACK


def usableAddress(typed: str) -> str:
    """``https://host[:port][/path]`` without a slash at its end. Raises AddressError.

    Without a scheme it is https, and http for this computer (an SSH tunnel). Plain http to another computer is
    refused: token and images could be read on the way.
    """
    text = typed.strip()
    if not text:
        raise AddressError(_("No remote server is given; type its address, for example https://gpu.example.org:8443."))
    if "://" not in text:
        text = f"{'http' if isLoopback(f'http://{text}') else 'https'}://{text}"
    text = text.rstrip("/")
    url = qt.QUrl(text)
    scheme = url.scheme().lower()
    if not url.isValid() or not url.host() or scheme not in ("http", "https") or url.userInfo() or url.hasQuery():
        raise AddressError(
            _('"{typed}" is not a server\'s address; type it like https://gpu.example.org:8443.').format(
                typed=typed.strip()
            )
        )
    if scheme == "http" and not isLoopback(text):
        raise AddressError(
            _(
                "{host} must be reached with https, since over http the token and the images could be read on the way; "
                "or use an SSH tunnel to 127.0.0.1."
            ).format(host=url.host())
        )
    return text


def withoutCredentials(text: str) -> str:
    """``text`` without the user names and passwords in its addresses, for logs that get copied into reports."""
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", text)
