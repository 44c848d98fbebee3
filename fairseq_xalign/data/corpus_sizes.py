"""How many sentence pairs each direction of a data folder has for training (MMTE, Figure 1)."""

from __future__ import annotations

import os
from collections import Counter
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
    """The same of a data folder, or the sums over several (``DATA/a:DATA/b``).

    Only manifests are read, or fairseq's indices where there are none.
    """
    parts = [path] if Path(path).is_dir() else str(path).split(os.pathsep)
    sizes: Counter[str] = Counter()
    for part in map(Path, parts):
        sizes.update(training_pairs(read_manifest(part) if (part / MANIFEST_FILE).exists() else fairseq_manifest(part)))
    return dict(sizes)
