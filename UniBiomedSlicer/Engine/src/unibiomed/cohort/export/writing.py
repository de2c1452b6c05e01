# SPDX-License-Identifier: Apache-2.0
"""One call for every format: all files, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.card import write_card
from unibiomed.cohort.export.dicom import write_dicom
from unibiomed.cohort.export.facts import export_facts
from unibiomed.cohort.export.nnunet import write_decathlon, write_nnunet
from unibiomed.cohort.export.parquet import write_parquet
from unibiomed.cohort.export.samples import Sample, Which, one_by_one, samples
from unibiomed.cohort.export.unibiomed_format import write_unibiomed
from unibiomed.errors import InputError
from unibiomed.evaluation.export_facts import write_facts
from unibiomed.volumes.atomic import atomic_folder

Format = Literal["unibiomed", "nnunet", "decathlon", "parquet", "dicom"]
FORMATS: tuple[Format, ...] = ("unibiomed", "nnunet", "decathlon", "parquet", "dicom")


def export(
    catalogue: Catalogue,
    folder: Path,
    kind: Format,
    which: Which = "reviewed",
    *,
    modality: str | None = None,
    name: str = "Dataset001_UniBiomed",
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    keep_identity: bool = False,
) -> list[Sample]:
    """Write the cases of ``catalogue`` into the new folder ``folder`` and return them.

    DICOM objects carry the identifiers of their study, so that they need ``keep_identity``. InputError when there is
    nothing to export or the format cannot hold it; OutputError when the folder is not empty.
    """
    if kind not in FORMATS:
        raise InputError(f"There is no export format {kind[:40]!r}; choose one of {', '.join(FORMATS)}.")
    if kind == "dicom" and not keep_identity:
        raise InputError(
            "DICOM SEG and SR carry the patient's and the study's identifiers; add --keep-identity to export them."
        )
    found = samples(
        catalogue, which, modality=modality, validation=validation, test=test, seed=seed, keep_identity=keep_identity
    )
    chosen = list(one_by_one(found))
    shared: dict[str, int] | None = None
    with atomic_folder(folder) as scratch:
        if kind == "unibiomed":
            write_unibiomed(scratch, chosen)
        elif kind == "nnunet":
            shared = write_nnunet(scratch, chosen, name)
        elif kind == "decathlon":
            shared = write_decathlon(scratch, chosen, name)
        elif kind == "parquet":
            write_parquet(scratch, chosen)
        else:
            write_dicom(scratch, chosen)
        if kind != "dicom":
            write_facts(scratch, export_facts(chosen))
        write_card(scratch, catalogue, chosen, kind, which, keep_identity=keep_identity, shared=shared)
    return chosen
