"""A conditional random field over the tags of a sequence (Lafferty et al. 2001), behind a head that scores single tags.

TPP notes that its taggers "can be further improved" by it (section 3.1). The field itself is that of
the library pytorch-crf (the extra ``crf``); this module brings it to packed sequences. The head gives back one tensor,
:func:`packed`, because the loss and the best tags are computed by the kind of task, which has no access to the head:
below the scores of the M tags to choose stand the field's own parameters.

Letters: M words, L tags, B sequences, S words of the longest sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_xalign.errors import UserError

FIELD_ROWS = 2
"""Rows of :func:`packed` for the scores of the first and of the last tag, beside the L rows for pairs of tags."""


def field_module(labels: int) -> nn.Module:
    """A field over so many tags, batch first.

    Raises:
        UserError: pytorch-crf is not installed.
    """
    try:
        from torchcrf import CRF
    except ImportError as error:
        raise UserError(
            "a tagger with a CRF needs pytorch-crf, which is not installed",
            remedy='Install it with pip install "fairseq_xalign[crf]"',
        ) from error
    return CRF(labels, batch_first=True)


class CRFTaggingHead(nn.Module):
    """Scores of tags for words, and of tags that follow one another.

    Args:
        scorer: a head that gives [M, L] for the features of M words.
        labels: L.
    """

    def __init__(self, scorer: nn.Module, labels: int) -> None:
        super().__init__()
        self.scorer, self.crf = scorer, field_module(labels)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the words to tag [M, D] -> [M + L + 2, L], see :func:`packed`."""
        return packed(self.scorer(features), self.crf)


def packed(emissions: Tensor, crf: Any) -> Tensor:
    """The scores of single tags [M, L], of pairs [L, L], of first tags [L] and of last ones [L], stacked."""
    ends = torch.stack((crf.start_transitions, crf.end_transitions))
    return torch.cat((emissions, crf.transitions.to(emissions.dtype), ends.to(emissions.dtype)))


def is_packed(scores: Tensor, words: int) -> bool:
    """Whether scores of so many words are those of a field, and not of single tags."""
    return len(scores) == words + scores.shape[1] + FIELD_ROWS


@dataclass
class Chains:
    """The sequences of a batch, and the field's parameters.

    Attributes:
        emissions: scores of single tags, 0 behind a sequence's end, [B, S, L].
        mask: which places have a word, bool [B, S].
        parameters: of pytorch-crf's module, by name.
    """

    emissions: Tensor
    mask: Tensor
    parameters: dict[str, Tensor]

    @classmethod
    def of(cls, scores: Tensor, lengths: Tensor) -> Chains:
        """From :func:`packed` scores and the number of words of each sequence, int64 [B] (each at least 1)."""
        words, labels = int(lengths.sum()), scores.shape[1]
        lengths = lengths.to(scores.device)
        mask = torch.arange(int(lengths.max()), device=scores.device) < lengths[:, None]  # [B, S]
        emissions = scores.new_zeros(*mask.shape, labels).masked_scatter(mask[..., None], scores[:words])
        parameters = {
            "transitions": scores[words : words + labels],
            "start_transitions": scores[-2],
            "end_transitions": scores[-1],
        }
        return cls(emissions, mask, parameters)

    def padded(self, tags: Tensor) -> Tensor:
        """The numbers of the words' tags [M] as [B, S], 0 behind a sequence's end."""
        return tags.new_zeros(self.mask.shape).masked_scatter(self.mask, tags)

    def log_likelihoods(self, tags: Tensor) -> Tensor:
        """The log probability of each sequence's tags, [B]; ``tags`` are [M]."""
        module: Any = field_module(self.emissions.shape[-1])
        given = {"mask": self.mask, "reduction": "none"}
        return torch.func.functional_call(module, self.parameters, (self.emissions, self.padded(tags)), given)

    @torch.no_grad()
    def best(self) -> list[list[int]]:
        """The most probable tags of each sequence (Viterbi)."""
        module: Any = field_module(self.emissions.shape[-1])
        for name, value in self.parameters.items():
            getattr(module, name).data = value.detach()
        return module.decode(self.emissions, mask=self.mask)

    def marginals(self) -> list[Tensor]:
        """The probability of every tag at each word of each sequence, whatever the others are, B times [words, L].

        It is the derivative of the log of the partition function by the word's score of that tag, and the derivative of
        a log probability has it with a minus sign beside the tags themselves.
        """
        with torch.enable_grad():
            emissions = self.emissions.detach().requires_grad_()
            chains = Chains(emissions, self.mask, {name: value.detach() for name, value in self.parameters.items()})
            tags = torch.zeros(int(self.mask.sum()), dtype=torch.long, device=emissions.device)
            [slope] = torch.autograd.grad(chains.log_likelihoods(tags).sum(), emissions)
        first = torch.zeros_like(slope)
        first[..., 0] = 1.0
        probabilities = (first - slope).clamp(0.0, 1.0)
        return [row[there] for row, there in zip(probabilities, self.mask)]
