"""How many sentence pairs each direction of a data folder has for training (MMTE, Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import MANIFEST_FILE
from fairseq_xalign.data.fairseq_folder import fairseq_manifest
from fairseq_xalign.data.manifest import read_manifest, stream_languages
from fairseq_xalign.options import pair_name


def training_pairs(manifest: Mapping[str, Any], split: str = "train") -> dict[str, int]:
    """Sentence pairs by direction, both directions of each pair, in the order of the manifest."""
    sizes: dict[str, int] = {}
    for stream in manifest["streams"]:
        if stream["kind"] == "bitext" and stream["split"] == split:
            source, target = stream_languages(stream)
            for direction in ((source, target), (target, source)):
                sizes.setdefault(pair_name(direction), stream["sentences"])
    return sizes


def corpus_sizes(path: str | Path) -> dict[str, int]:
    """The same of a data folder, of which only the manifest is read (or fairseq's indices where there is none)."""
    path = Path(path)
    return training_pairs(read_manifest(path) if (path / MANIFEST_FILE).exists() else fairseq_manifest(path))
