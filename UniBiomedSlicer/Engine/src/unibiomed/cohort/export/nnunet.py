# SPDX-License-Identifier: Apache-2.0
"""nnU-Net's raw data set (version 2) and MONAI's decathlon list: NIfTI images, one label map a case, a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from unibiomed.cohort.export.labels import LabelSet, label_map, names_of
from unibiomed.cohort.export.samples import Sample, one_by_one
from unibiomed.errors import InputError
from unibiomed.volumes.modalities import base_modality
from unibiomed.volumes.volume import Volume


def write_nnunet(folder: Path, samples: Sequence[Sample], name: str) -> dict[str, int]:
    """``imagesTr``, ``labelsTr``, ``imagesTs``, ``labelsTs``, ``dataset.json`` and ``splits_final.json`` in ``folder``.

    nnU-Net trains on everything in ``imagesTr``; ours are its train and validation patients, and the split file says
    which are which (it goes to the preprocessed folder). Returns voxels that several segments shared, by case.
    """
    labels = _labels(samples)
    shared: dict[str, int] = {}
    for sample in one_by_one(samples):
        part = "Ts" if sample.split == "test" else "Tr"
        image, channels = nifti_image(sample.volume)
        for channel, array in enumerate(channels):
            _save(folder / f"images{part}" / f"{sample.name}_{channel:04d}.nii.gz", array, image)
        found = label_map(sample, labels)
        shared[sample.name] = found.shared
        _save(folder / f"labels{part}" / f"{sample.name}.nii.gz", found.array, image)
    training = [sample.name for sample in samples if sample.split != "test"]
    first = samples[0]
    names = ("red", "green", "blue") if first.volume.is_color else (_channel(first.modality),)
    document: dict[str, Any] = {
        "name": name,
        "channel_names": {str(number): word for number, word in enumerate(names)},
        "labels": {"background": 0, **labels.values},
        "numTraining": len(training),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
        "description": "Exported by UniBiomed for 3D Slicer; see DATA_CARD.md.",
    }
    _write_json(folder / "dataset.json", document)
    folds = [
        {
            key: [s.name for s in samples if s.split == split]
            for key, split in (("train", "train"), ("val", "validation"))
        }
    ]
    _write_json(folder / "splits_final.json", folds)
    return shared


def write_decathlon(folder: Path, samples: Sequence[Sample], name: str) -> dict[str, int]:
    """The Medical Segmentation Decathlon's layout, which MONAI's ``load_decathlon_datalist`` reads."""
    labels = _labels(samples)
    shared: dict[str, int] = {}
    lists: dict[str, list[dict[str, str]]] = {"training": [], "validation": [], "test": []}
    for sample in one_by_one(samples):
        image, channels = nifti_image(sample.volume)
        array = channels[0] if len(channels) == 1 else np.stack(channels, axis=-1)
        _save(folder / "images" / f"{sample.name}.nii.gz", array, image)
        found = label_map(sample, labels)
        shared[sample.name] = found.shared
        _save(folder / "labels" / f"{sample.name}.nii.gz", found.array, image)
        entry = {"image": f"images/{sample.name}.nii.gz", "label": f"labels/{sample.name}.nii.gz"}
        lists["training" if sample.split == "train" else sample.split].append(entry)
    document: dict[str, Any] = {
        "name": name,
        "description": "Exported by UniBiomed for 3D Slicer; see DATA_CARD.md.",
        "modality": {"0": samples[0].modality},
        "labels": {"0": "background", **{str(value): word for word, value in labels.values.items()}},
        "numTraining": len(lists["training"]),
        "numTest": len(lists["test"]),
        **lists,
    }
    _write_json(folder / "dataset.json", document)
    return shared


def nifti_image(volume: Volume) -> tuple[np.ndarray, list[np.ndarray]]:
    """The affine, and the channels as [k, j, i] arrays: one, or red, green and blue."""
    voxels = np.asarray(volume.array)
    return volume.ijk_to_ras, [voxels[..., c] for c in range(3)] if volume.is_color else [voxels]


def _labels(samples: Sequence[Sample]) -> LabelSet:
    names: set[str] = set()
    colours, modalities = set(), set()
    for sample in one_by_one(samples):
        names |= names_of(sample)
        colours.add(sample.volume.is_color)
        modalities.add(base_modality(sample.modality))
    if not names:
        raise InputError("None of the cases has a segment, so there is nothing for a label map; export another format.")
    if len(modalities) > 1:
        kinds = f"{', '.join(sorted(modalities)[:-1])} and {max(modalities)}"
        raise InputError(
            f"The channels of this format mean one modality, and these cases are {kinds}; export them apart, with "
            "--modality."
        )
    if len(colours) > 1:
        raise InputError("Colour and grey images cannot be in one data set; export them apart.")
    return LabelSet.of(names)


def _save(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # NIfTI counts i first; [k, j, i] transposed is the same memory. A trailing channel axis stays the last.
    stored = array.transpose(2, 1, 0, *range(3, array.ndim))
    if stored.dtype == bool or stored.dtype == np.float16:
        stored = stored.astype(np.float32)
    image = nibabel.Nifti1Image(stored, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    nibabel.save(image, path)


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _channel(modality: str) -> str:
    """nnU-Net normalises a channel named CT in Hounsfield units and every other one by its own mean."""
    return "CT" if modality == "CT" else modality
