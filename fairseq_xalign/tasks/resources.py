"""What objectives need of a data folder beside batches: dictionaries, translations, pairs and fingerprints of texts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from fairseq_xalign.constants import PAD
from fairseq_xalign.data.dictionary import Dictionary, distinct_pairs
from fairseq_xalign.data.known_pairs import known_pairs
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import counted
from fairseq_xalign.objectives.align import DictionaryTensors
from fairseq_xalign.objectives.dict_mlm import Translations
from fairseq_xalign.objectives.fingerprint import Fingerprints, KnownPairs
from fairseq_xalign.objectives.objective import Resources

logger = logging.getLogger(__name__)
DICTIONARY = {"entries", "translations"}
"""What objectives may need of the folder's dictionaries."""


@dataclass
class FolderResources:
    """Makes each resource when it is first asked for.

    Attributes:
        folder, tokenizer: the data folder and its tokenizer.
        split: the split of training.
        dictionaries: by pair, those between the languages trained on.
        languages: the languages trained on, and the number of each.
    """

    folder: Any
    tokenizer: Any
    split: str
    dictionaries: Mapping[tuple[str, str], Dictionary]
    languages: Mapping[str, int]

    def resources(self, where: str, needed: Collection[str]) -> Resources:
        """What is ``needed``; ``where`` is the folder's name in messages."""
        names = [field.name for field in fields(Resources) if field.name in needed]
        return Resources(where, **{name: getattr(self, name) for name in names})

    @cached_property
    def entries(self) -> DictionaryTensors:
        """Every entry of the dictionaries once."""
        source, target = distinct_pairs(self.dictionaries.values())
        repeated = sum(len(d) + d.duplicates for d in self.dictionaries.values()) - len(source)
        if repeated:
            left_out = counted(repeated, "repetition")
            logger.info(f"dictionaries: {counted(len(source), 'pair')}; {left_out} left out")
        return DictionaryTensors.build(source, target, PAD)

    @cached_property
    def translations(self) -> Translations:
        """Single pieces and their translations, in both directions."""
        entries = []
        for (source, target), dictionary in self.dictionaries.items():
            s, t = self.languages[source], self.languages[target]
            for a, b in zip(dictionary.source, dictionary.target):
                if len(a) == len(b) == 1 and a != b:
                    entries += [(s, a[0], b[0], t), (t, b[0], a[0], s)]
        return Translations.build(entries, len(self.tokenizer))

    @property
    def bitexts(self) -> list[tuple[MappedTokens, MappedTokens]]:
        """Both sides of each bitext of training between the languages trained on."""
        found = self.folder.bitext(self.split).items()
        return [files for pair, files in found if set(pair) <= set(self.languages)]

    @property
    def pairs(self) -> int:
        """How many pairs of training there are."""
        return sum(len(files[0]) for files in self.bitexts)

    @cached_property
    def fingerprints(self) -> Fingerprints:
        return Fingerprints.of(self.tokenizer)

    @cached_property
    def known_pairs(self) -> KnownPairs:
        """The pairs of training, by fingerprint."""
        found = known_pairs(self.bitexts, self.fingerprints)
        logger.info(f"negatives: {self.pairs} pairs of training, {len(found)} different, are never among them")
        return found
