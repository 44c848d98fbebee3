"""The proof that a CTranslate2 model computes what the model that it was made of computes.

Both translate the same sentences with the same beam. In float32, the probability of every token must be the same in
both directions: those that CTranslate2 gives to our translations, and those that ours gives to CTranslate2's. The
searches follow the same rules (``models/generate.py``) but for three things:

- Where an empty translation is not allowed, CTranslate2 takes ``</s>`` out of the first softmax and fairseq does not.
  So the empty one is allowed here.
- At the longest length CTranslate2 stops where it is, while fairseq writes ``</s>``.
- CTranslate2 may write ``<pad>``, whose probability is that of any symbol that training never wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign import cli
from fairseq_xalign.constants import EOS
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.generate import beam_search
from fairseq_xalign.models.sentences import batches_by_length
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import pack

TOLERANCE = 1e-4
"""By how much log p of a token in float32 may differ."""
BEAM = 4
LIMIT = 64
"""Tokens of a translation at most."""
BATCH_TOKENS = 512
"""Source tokens that are translated together."""


@dataclass(frozen=True)
class Agreement:
    """How far two models agree.

    Attributes:
        sentences: how many were translated.
        equal: translations of which every token is the same.
        unfinished: translations that CTranslate2 stopped at the limit; there the rules differ.
        largest_difference: between the log p of a token of ours and of CTranslate2, in nats.
    """

    sentences: int
    equal: int
    unfinished: int
    largest_difference: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def line(self) -> str:
        """One sentence for people."""
        stopped = f" ({self.unfinished} of the others were stopped at {LIMIT} tokens)" if self.unfinished else ""
        return (
            f"{self.equal} of {self.sentences} translations are equal{stopped}; the log p of a token differs by "
            f"{self.largest_difference:.1e} at most"
        )


class Reference:
    """What a model of ours makes of some sentences.

    Args:
        model: in float32.
        symbols: the names of all ids [V].
        sources: the ids that the encoder reads, ending in ``</s>``, no longer than it allows.
    """

    def __init__(self, model: TranslationModel, symbols: Sequence[str], sources: Sequence[list[int]]) -> None:
        self.model, self.symbols, self.sources = model, list(symbols), [list(source) for source in sources]
        self.numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        self.limit = min(LIMIT, model.decoder.config.longest - 1)
        self.found: list[list[int]] = [[]] * len(self.sources)
        batches = list(batches_by_length([len(source) for source in self.sources], BATCH_TOKENS))
        for batch in cli.progress(batches, "translating", len(batches)):
            limits = [self.limit] * len(batch)
            found = beam_search(model, pack([self.sources[i] for i in batch]), None, limits, BEAM, shortest=0)
            for i, hypotheses in zip(batch, found):
                self.found[i] = hypotheses[0].tokens
        self.scores = [self.log_probs(source, target) for source, target in zip(self.sources, self.found)]

    @torch.inference_mode()
    def log_probs(self, source: list[int], target: list[int]) -> list[float]:
        """log p of each token of a translation."""
        memory = self.model.encode(pack([source]))
        features = self.model.decoder(pack([[EOS, *target[:-1]]]), memory)
        scores = self.model.logits(features).log_softmax(-1)
        return scores.gather(1, torch.tensor(target)[:, None])[:, 0].tolist()

    def compare(self, folder: str | Path, compute_type: str = "float32") -> Agreement:
        """Let the CTranslate2 model in ``folder`` translate too."""
        import ctranslate2

        threads = torch.get_num_threads()
        translator = ctranslate2.Translator(str(folder), compute_type=compute_type, intra_threads=threads)
        tokens = [[self.symbols[i] for i in source[:-1]] for source in self.sources]  # it adds </s> itself
        ours = [[self.symbols[i] for i in target[:-1]] for target in self.found]
        found = translator.translate_batch(
            tokens,
            beam_size=BEAM,
            length_penalty=1,
            min_decoding_length=0,
            max_decoding_length=self.limit + 1,
            max_input_length=0,
            return_scores=True,
            return_end_token=True,
        )
        theirs = [[self.numbers[symbol] for symbol in result.hypotheses[0]] for result in found]
        differences = [0.0]
        for source, target, result in zip(self.sources, theirs, found):
            differences.append(abs(sum(self.log_probs(source, target)) / len(target) - result.scores[0]))
        for expected, result in zip(self.scores, translator.score_batch(tokens, ours, max_input_length=0)):
            differences += [abs(a - b) for a, b in zip(expected, result.log_probs, strict=True)]
        equal = [a == b for a, b in zip(self.found, theirs)]
        unfinished = sum(not same and target[-1] != EOS for same, target in zip(equal, theirs))
        return Agreement(len(equal), sum(equal), unfinished, max(differences))


def check_equal(agreement: Agreement) -> None:
    """Refuse a conversion in float32 that does not compute the same.

    Raises:
        UserError: with what was found.
    """
    if not agreement.largest_difference <= TOLERANCE:  # a NaN is no agreement either
        raise UserError(
            f"the converted model does not compute the same: {agreement.line()}, and {TOLERANCE:.0e} is allowed",
            remedy="Nothing was written. Try another version of ctranslate2, and please report it",
        )
