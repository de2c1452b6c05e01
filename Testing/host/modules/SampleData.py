# SPDX-License-Identifier: Apache-2.0
"""Slicer's sample data registry: what is registered can be listed and, from local files or a downloader, loaded."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import slicer


@dataclass
class SampleDataSource:
    sampleName: str | None = None
    uris: Any = None
    fileNames: Any = None
    nodeNames: Any = None
    thumbnailFileName: str | None = None
    loadFileTypes: Any = None
    loadFiles: Any = None
    loadFileProperties: dict[str, Any] = field(default_factory=dict)
    checksums: Any = None
    customDownloader: Any = None


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


class SampleDataLogic:
    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **fields: Any) -> None:
        sources = slicer.modules.__dict__.setdefault("sampleDataSources", {})
        source = SampleDataSource(**fields)
        if source not in sources.setdefault(category, []):
            sources[category].append(source)

    @staticmethod
    def sourceForSampleName(sampleName: str) -> SampleDataSource | None:
        sources = getattr(slicer.modules, "sampleDataSources", {})
        return next((one for some in sources.values() for one in some if one.sampleName == sampleName), None)

    def downloadSample(self, sampleName: str) -> Any:
        return self.downloadSamples(sampleName)[0]

    def downloadSamples(self, sampleName: str) -> list[Any]:
        source = self.sourceForSampleName(sampleName)
        if source is None:
            raise ValueError(f"no sample named {sampleName}")
        if source.customDownloader is not None:
            return _listed(source.customDownloader(source))
        nodes = []
        sums = _listed(source.checksums)
        for number, (uri, name) in enumerate(zip(_listed(source.uris), _listed(source.nodeNames), strict=True)):
            path = Path(unquote(urlparse(uri).path))
            if not uri.startswith("file:"):
                raise OSError(f"the stand-in downloads nothing: {uri}")
            if sums[min(number, len(sums) - 1)]:
                wanted = sums[number].split(":")[1]
                if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
                    raise ValueError(f"{path.name} has another checksum")
            nodes.append(slicer.util.loadVolume(str(path), {"name": name}))
        return nodes


def downloadSample(sampleName: str) -> Any:
    return SampleDataLogic().downloadSample(sampleName)
