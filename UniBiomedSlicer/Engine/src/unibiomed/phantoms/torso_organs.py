# SPDX-License-Identifier: Apache-2.0
"""Painting the torso's organs, in the order in which they lie over one another, with their truth."""

from __future__ import annotations

import numpy as np

from unibiomed.phantoms.shapes import Field, rotate, smooth_noise, superellipse
from unibiomed.phantoms.solids import Ellipsoid
from unibiomed.phantoms.torso_build import Build, Canvas, Mask


def paint_organs(body: Build, canvas: Canvas, inside: Mask, lungs: Mask) -> None:
    """Organs of abdomen and mediastinum, in the order in which they lie over one another."""
    x, y, z, masks = canvas.x, canvas.y, canvas.z, canvas.masks
    cy, tone = body.cavity[1], body.hu
    below = inside & (z < body.diaphragm(x, y) - 2.0) if z > -90 else inside
    empty = canvas.nothing()
    if z > -60:  # mediastinum and the muscle of the diaphragm
        canvas.fill(45.0, inside & ~lungs & ~below)
        middle = superellipse(y, x, (-0.25 * cy, 0.0), (0.62 * cy, 34.0), 0.0, 2.5)
        canvas.fill(-60.0, (middle < 1.0) & inside & ~lungs)
    if z < -95:
        psoas = superellipse(y, np.abs(x), (0.60 * cy, 34.0), (19.0, 13.0 + min(8.0, (-95 - z) / 12)), 0.0)
        canvas.fill(tone["muscle"], psoas < 1.0)
    _paint_guts(body, canvas, below)
    spine = superellipse(y, x, (0.62 * cy, 0.0), (19.0, 24.0), 0.0, 2.4) < 1.0
    free = below & ~spine
    for name, solid in body.kidneys.items():
        masks[name] = empty
        field = solid.section(x, y, z)
        if field is not None:
            masks[name] = _paint_kidney(body, canvas, solid, field) & ~spine
            free &= field > 1.13  # the fat around it
    spleen = body.spleen.section(x, y, z)
    masks["spleen"] = empty if spleen is None else (spleen < 1.0) & free & (body.gap(x, y) < 0.97)
    canvas.fill(tone["spleen"], masks["spleen"])
    _paint_stomach(body, canvas, free & ~masks["spleen"])
    lobes = [field for field in (solid.section(x, y, z) for solid in body.liver) if field is not None]
    masks["liver"] = empty
    if lobes:
        masks["liver"] = (np.minimum.reduce(lobes) < 1.0) & free & (body.gap(x, y) < 0.985)
        portal = body.portal.opacity(z, 2.5, body.pixel, body.origin(), body.size)
        gain = np.float32(0.45 * (tone["blood"] - tone["liver"]))
        canvas.fill(tone["liver"] + gain * portal, masks["liver"])
    if body.gallbladder is not None:
        canvas.fill(8.0, body.gallbladder.inside(x, y, z) & free)
    _paint_vessels(body, canvas, inside)
    masks["aorta"] = masks["aorta"] & ~spine
    _paint_heart(body, canvas, inside & ~below & ~spine)


def _paint_heart(body: Build, canvas: Canvas, free: Mask) -> None:
    """Muscle, two blood-filled chambers and the fat around."""
    x, y, z, masks = canvas.x, canvas.y, canvas.z, canvas.masks
    tone = body.hu
    heart = body.heart.section(x, y, z)
    masks["heart"] = canvas.nothing() if heart is None else (heart < 1.0) & free
    if heart is not None:
        canvas.fill(tone["muscle"] + 35, masks["heart"])
        chambers = np.minimum(
            superellipse(y, x, (body.heart.centre[1] + 8, body.heart.centre[0] + 17), (19, 26), -0.5),
            superellipse(y, x, (body.heart.centre[1] - 10, body.heart.centre[0] - 18), (18, 22), -0.5),
        )
        canvas.fill(tone["blood"] + 15, masks["heart"] & (chambers < 1.0) & (heart < 0.82))
        canvas.fill(-80.0, (heart >= 1.0) & (heart < 1.06) & free)


def _paint_kidney(body: Build, canvas: Canvas, solid: Ellipsoid, field: Field) -> Mask:
    """Cortex and medulla around the fat of the hilum, which opens to the middle."""
    x, y, side = canvas.x, canvas.y, np.sign(solid.centre[0])
    near = 1.0 - abs(canvas.z - solid.centre[2]) / (0.55 * solid.radii[2])
    mask = field < 1.0
    if near > 0:
        hilum = superellipse(y, x, (solid.centre[1] - 5, solid.centre[0] - side * 15), (9 * near**0.5, 14 * near**0.5))
        canvas.fill(body.hu["fat"] + 25, (hilum < 1.0) & (field < 1.05))
        mask &= hilum >= 1.0
    canvas.fill(body.hu["kidney"], mask)
    if body.hu["kidney"] > 80:
        canvas.fill(body.hu["kidney"] - 28, mask & (field < 0.66))
    return mask


def _paint_stomach(body: Build, canvas: Canvas, free: Mask) -> None:
    """Wall, fluid, and air above a level."""
    x, y, z = canvas.x, canvas.y, canvas.z
    field = body.stomach.section(x, y, z)
    if field is None:
        return
    where = free & (field < 1.0)
    canvas.fill(65.0, where)
    canvas.fill(22.0, where & (field < 0.88))
    level = body.stomach.centre[1] - body.gas * body.stomach.radii[1] - 8
    canvas.fill(-950.0, where & (field < 0.88) & (y < level))


def _paint_guts(body: Build, canvas: Canvas, below: Mask) -> None:
    """Loops of bowel, some with gas or contrast, among the vessels of the mesentery."""
    hu, x, y, z = canvas.hu, canvas.x, canvas.y, canvas.z
    if z > -80:
        return
    vessels = body.mesentery.opacity(z, 3.0, body.pixel, body.origin(), body.size)
    hu += np.where(below & (hu < 0), vessels * np.float32(130), 0)
    free = below & (body.gap(x, y) < 0.97)
    for solid, content in body.bowel:
        box = body.box(solid.centre[0], solid.centre[1], max(solid.radii))
        field = solid.section(x[box], y[box], z)
        if field is None:
            continue
        where = free[box] & (field < 1.0)
        part = hu[box]
        np.copyto(part, np.float32(60.0), where=where)
        core = where & (field < 0.8)
        np.copyto(part, np.float32(25.0 if content < 0.7 else 90.0), where=core)
        if content > 0.85 or content < 0.15:
            np.copyto(part, np.float32(-900.0), where=core & (y[box] < solid.centre[1] - 2))


def _paint_vessels(body: Build, canvas: Canvas, inside: Mask) -> None:
    """Aorta and its arch, iliac arteries, vena cava, vessels of the upper chest, and the windpipe."""
    x, y, z, masks = canvas.x, canvas.y, canvas.z, canvas.masks
    cy, blood, r = body.cavity[1], np.float32(body.hu["blood"]), body.aorta_radius
    front = 0.62 * cy - 17 - r
    masks["aorta"] = canvas.nothing()
    if z > -196:
        if z < 112:
            masks["aorta"] = superellipse(y, x, body.aorta_place(z), (r, r)) < 1.0
    else:
        for side in (-1, 1):
            canvas.fill(blood, superellipse(y, x, (front, side * (6 + (-196 - z) * 0.6)), (7.5, 7.5)) < 1.0)
    canvas.fill(blood, masks["aorta"])
    if z < 20:
        cava = superellipse(y, x, (front + 1, -20.0), (10.5, 13.0)) < 1.0
        canvas.fill(blood - 14, cava & ~masks["aorta"] & (inside))
    if 30 < z < 112:
        for place, radius in (((-18.0, -10.0), 15.0), ((-12.0, -38.0), 9.0)):
            if z > 88 or radius < 10:
                canvas.fill(blood, superellipse(y, x, place, (radius, radius)) < 1.0)
    if 112 <= z < 130:
        arch = superellipse(*rotate(y, x, 0.95, (2.0, 6.0)), (0, 0), (13.0, 38.0))
        canvas.fill(blood, (arch < 1.0) & inside)
    if z >= 130:
        for place in ((-12.0, -14.0), (-8.0, 4.0), (2.0, 20.0), (-16.0, -28.0), (-14.0, 26.0)):
            canvas.fill(blood, superellipse(y, x, place, (6.0, 6.0)) < 1.0)
    if z > 60:
        spread = np.clip((95 - z) / 1.5, 0, 26)
        for side in (-1, 1):
            tube = superellipse(y, x, (8.0, side * spread), (8.5, 8.5 if spread < 9 else 11.0)) < 1.0
            canvas.fill(-990.0, tube)


def paint_lungs(body: Build, canvas: Canvas, lungs: Mask) -> None:
    """Lung tissue, denser at the back, with its vessels; the lungs' truth."""
    hu, x, y, z, masks = canvas.hu, canvas.x, canvas.y, canvas.z, canvas.masks
    masks["right lung"], masks["left lung"] = lungs & (x < 0), lungs & (x >= 0)
    if not lungs.any():
        return
    rng = np.random.default_rng([body.noise_seed, 7])
    tissue = np.float32(body.hu["lung"]) + np.float32(22) * smooth_noise(rng, body.size, 9 * body.size / 256)
    tissue += np.float32(45) * (y / np.float32(body.cavity[1]))
    for branch in body.trees:
        tissue += branch.opacity(z, 3.0, body.pixel, body.origin(), body.size) * np.float32(820)
    np.copyto(hu, np.minimum(tissue, np.float32(60)), where=lungs)
