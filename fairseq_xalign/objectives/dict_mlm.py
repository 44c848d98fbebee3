"""DICT-MLM: masked language modelling on text that is code-switched by a bilingual dictionary.

Chaudhary et al. 2020; ALIGN-MLM (Tang et al. 2022), section 3 and Appendix G.4. Half of the selected tokens go to the
dictionary. A token is translated only by entries whose side in the language of its text it is: German "die" is
never taken for the English verb, although both languages write it with one piece of a shared vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.masking import Selected
from fairseq_xalign.objectives.mlm import HiddenTokens
from fairseq_xalign.objectives.objective import Resources, option
from fairseq_xalign.objectives.view import MONO, Settings, View
from fairseq_xalign.options import share

DICTIONARY, TRANSLATION = 3, 4
"""Names of the draws that concern one token, after those of ``masking``."""


@dataclass(frozen=True)
class Translations:
    """Translations of single tokens, by the language of the text that a token stands in.

    Those of the token with key ``k = language * size + id`` are ``values[starts[i] : starts[i + 1]]``, where
    ``keys[i] == k``.

    Attributes:
        size: number of ids V.
        keys: ascending, int64 [K].
        starts: int64 [K + 1].
        values: ids of translations, int64 [E].
        languages: the (1-based) language of each, int64 [E].
    """

    size: int
    keys: Tensor
    starts: Tensor
    values: Tensor
    languages: Tensor

    @classmethod
    def build(cls, entries: Iterable[tuple[int, int, int, int]], size: int) -> Translations:
        """From (language, id, translation, language of the translation); repeated entries count once."""
        ordered = sorted(set(entries))
        rows = torch.tensor(ordered, dtype=torch.int64).view(-1, 4)
        keys, counts = (rows[:, 0] * size + rows[:, 1]).unique_consecutive(return_counts=True)
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        return cls(size, keys, starts, rows[:, 2].contiguous(), rows[:, 3].contiguous())

    def find(self, languages: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """For each token [N], given its language and id: its first translation's place in ``values``, their number."""
        if not len(self.keys):
            return torch.zeros_like(ids), torch.zeros_like(ids)
        wanted = languages * self.size + ids
        at = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        known = self.keys[at] == wanted
        return self.starts[at], torch.where(known, self.starts[at + 1] - self.starts[at], 0)


@dataclass(frozen=True)
class DictionaryOptions:
    """The variants of DICT-MLM that the papers and the released code describe."""

    dict_mlm_prob: float = option(
        0.5,
        "fraction of the selected tokens that go to the dictionary; 0.5 by default, as in ALIGN-MLM's DICT-MLM "
        "(Appendix G.4)",
    )
    dict_mlm_target: str = option(
        "input",
        "what the dictionary changes: with input (the default; ALIGN-MLM, section 3, and its released code) the "
        "encoder sees the translation and predicts the original token; with label (Appendix G.4; Chaudhary et al. "
        "2020) it sees ordinary masking and predicts the translation",
        ("input", "label"),
    )
    dict_mlm_nonmember: str = option(
        "visible",
        "what happens to a token that went to the dictionary but has no translation: it stays visible (the default; "
        "ALIGN-MLM's released code) or is masked in the usual way",
        ("visible", "normal"),
    )

    def __post_init__(self) -> None:
        share(whole=True, dict_mlm_prob=self.dict_mlm_prob)

    def apply(self, selected: Selected, resource: Translations) -> Selected:
        """Give ``dict_mlm_prob`` of the selected tokens to the dictionary."""
        s = selected
        assert s.text_languages is not None
        to_dictionary = s.draw(DICTIONARY) < self.dict_mlm_prob
        first, count = resource.find(s.text_languages, s.original)
        member = to_dictionary & (count > 0)
        choice = (s.draw(TRANSLATION) * count.clamp(min=1)).long()
        entry = torch.where(member, first + choice, 0)
        counterpart = resource.values[entry] if len(resource.values) else s.original
        if self.dict_mlm_target == "label":
            return replace(s, targets=torch.where(member, counterpart, s.original))
        seen = torch.where(member, counterpart, s.seen)
        if self.dict_mlm_nonmember == "visible":
            seen = torch.where(to_dictionary & ~member, s.original, seen)
        other = resource.languages[entry] if len(resource.values) else s.text_languages
        return replace(s, seen=seen, seen_languages=torch.where(member, other, s.text_languages))


class DictionaryMLM(HiddenTokens):
    """MLM on monolingual text code-switched by a dictionary."""

    name = "dict"
    Options = DictionaryOptions
    stream = MONO
    needs = frozenset({"translations"})

    def view(self, settings: Settings) -> View:
        return View.of(MONO, settings, switch=self.options)

    def check(self, resources: Resources) -> None:
        """Raises UserError where no entry has one piece per side."""
        if not len(resources.translations.values):
            raise UserError(
                "DICT-MLM needs dictionary entries with one piece on each side, and there are none", resources.where,
                remedy="Make a dictionary with `xalign-preprocess dictionary --pieces first`, or use a larger "
                "vocabulary",
            )  # fmt: skip
