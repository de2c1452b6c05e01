# SPDX-License-Identifier: Apache-2.0
"""The ultrasound generators: breast and heart."""

from __future__ import annotations

from unibiomed.phantoms import ultrasound_breast, ultrasound_heart

GENERATORS = (ultrasound_breast.GENERATOR, ultrasound_heart.GENERATOR)
