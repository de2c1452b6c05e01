# SPDX-License-Identifier: Apache-2.0
"""Painting the torso's frame: skin, fat, muscle, ribs, spine, and the outline of the lungs."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.shapes import Field, rotate, superellipse
from unibiomed.phantoms.torso_build import Build, Canvas, Mask


def paint_wall(body: Build, canvas: Canvas) -> Field:
    """Skin, fat, muscle and ribs; returns the field of the inner cavity."""
    x, y, z = canvas.x, canvas.y, canvas.z
    waist = 1.0 - 0.04 * np.cos((z + 160) / 60) if z < 0 else 1.0
    w, d = body.width * waist, body.depth * waist
    outer = superellipse(y, x, (0, 0), (d, w), 0.0, body.boxy)
    taper = 1.0 - 0.30 * np.clip((z - 105) / 75, 0, 1) ** 1.5
    cx, cy = body.cavity[0] * waist * taper, body.cavity[1] * waist * (1 - (1 - taper) * 0.5)
    cavity = superellipse(y, x, (0, 0), (cy, cx), 0.0, body.boxy)
    muscle = superellipse(y, x, (0, 0), (d - body.fat * 1.1, w - body.fat), 0.0, body.boxy)
    canvas.fill(30.0, outer < 1.0)
    canvas.fill(body.hu["fat"], outer < 1.0 - 2.2 / w)
    canvas.fill(body.hu["muscle"], muscle < 1.0)
    back = superellipse(y, np.abs(x), (0.80 * cy, 31.0), (26.0, 25.0), 0.0, 2.5)
    canvas.fill(body.hu["muscle"], back < 1.0)
    fatty = (cavity < 1.0) & (back >= 1.0)
    canvas.fill(body.hu["fat"] + 4, fatty)
    if z > 105:  # the shoulder muscles lie on fat planes
        canvas.fill(-70.0, (np.abs(muscle - 0.93) < 0.02) & (cavity > 1.12))
        blade = superellipse(*rotate(y, np.abs(x), -0.75, (0.55 * d, 0.64 * w)), (0, 0), (34.0, 5.5))
        canvas.fill(260.0, (blade < 1.0) & (cavity > 1.06))
    _paint_ribs(body, canvas, cavity)
    return cavity


def _paint_ribs(body: Build, canvas: Canvas, cavity: Field) -> None:
    """Ribs that fall from the spine to the front, so that a plane cuts several of them, and the breast bone."""
    hu, x, y, z = canvas.hu, canvas.x, canvas.y, canvas.z
    ring = np.abs(cavity - np.float32(1.055)) < 0.042
    rows, columns = np.nonzero(ring)
    around = np.arctan2(np.abs(x[rows, columns]), y[rows, columns] / np.float32(0.7))
    front = around / np.float32(np.pi)  # 0 at the spine, 1 in front
    height = (z + body.rib_slope * front) / 25.0 + body.rib_phase
    shaft = np.abs(height - np.floor(height) - 0.5) < 0.19
    lowest = -150 + 60 * np.abs(front - 0.1) / 0.5
    bone = shaft & (front < 0.85) & (z > lowest)
    depth = np.abs(cavity[rows, columns] - np.float32(1.055)) / 0.042
    hu[rows[bone], columns[bone]] = np.where(depth[bone] > 0.45, 380.0, 190.0)
    if z > 15:
        breast = superellipse(y, x, (-1.06 * body.cavity[1], 0.0), (6.0, 19.0), 0.0, 3.0)
        canvas.fill(210.0, breast < 1.0)


def paint_spine(body: Build, canvas: Canvas) -> None:
    """Vertebra or disc with its arch and processes; below, the wings of the pelvis."""
    x, y, z = canvas.x, canvas.y, canvas.z
    cy = body.cavity[1]
    phase = (z / 34.0 + body.disc_phase) % 1.0
    vertebra = superellipse(y, x, (0.62 * cy, 0.0), (17.0, 22.0), 0.0, 2.4)
    canvas.fill(420.0 if phase > 0.25 else 110.0, vertebra < 1.0)
    canvas.fill(190.0 if phase > 0.25 else 90.0, vertebra < 0.87)
    arch = superellipse(y, x, (0.62 * cy + 28, 0.0), (15.0, 17.0), 0.0)
    process = superellipse(y, x, (0.62 * cy + 45, 0.0), (0.16 * body.depth, 4.5), 0.0)
    if phase > 0.35:
        wings = superellipse(y, np.abs(x), (0.62 * cy + 27, 26.0), (4.5, 17.0), 0.15)
        canvas.fill(280.0, wings < 1.0)
    canvas.fill(330.0, (arch < 1.0) | (process < 1.0))
    canvas.fill(25.0, arch < 0.62)
    if z < -172:  # iliac wings
        crest = superellipse(*rotate(y, np.abs(x), 0.9, (0.45 * cy, 0.86 * body.cavity[0])), (0, 0), (7.0, 40.0))
        canvas.fill(400.0, crest < 1.0)
        canvas.fill(220.0, crest < 0.7)


def lung_outline(body: Build, canvas: Canvas, cavity: Field) -> Mask:
    """Both lungs, vessels included."""
    x, y, z = canvas.x, canvas.y, canvas.z
    if z < -90:
        return canvas.nothing()
    cx, cy = body.cavity
    middle = 17.0 + 17.0 * np.exp(-(((y - 0.28 * cy) / (0.42 * cy)) ** 2))
    lungs = (cavity < 0.985) & (z > body.diaphragm(x, y)) & (np.abs(x) > middle)
    if z > 110:
        apex = np.sqrt(max(0.02, 1.0 - ((z - 110) / 82) ** 2))
        tops = superellipse(y, np.abs(x), (0.08 * cy, 0.50 * cx), (0.95 * cy * apex, 0.50 * cx * apex))
        lungs &= tops < 1.0
    heart = body.heart.section(x, y, z)
    if heart is not None:
        lungs &= heart > 1.06
    spine = superellipse(y, x, (0.62 * cy, 0.0), (24.0, 29.0), 0.0, 2.4)
    aorta = superellipse(y, x, body.aorta_place(z), (body.aorta_radius, body.aorta_radius))
    return lungs & (spine > 1.0) & (aorta > 1.15)
