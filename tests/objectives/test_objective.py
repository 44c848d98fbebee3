"""Mixing objectives: L = sum of weighted means in each update, however it is cut into micro-batches."""

import pytest
import torch
from torch import nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.align import DictionaryTensors, alignment_loss
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.objective import Context, parse_objectives
from fairseq_xalign.objectives.registry import OBJECTIVES

V, D = 20, 6


class TinyEncoder(nn.Module):
    """Embeddings and a tied output: enough for every objective."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(V, D, dtype=torch.float64)
        nn.init.normal_(self.embed_tokens.weight, generator=torch.Generator().manual_seed(42))

    def forward(self, batch: PackedBatch, tokens: torch.Tensor | None = None) -> torch.Tensor:
        features = self.features(batch)
        return features if tokens is None else features[tokens]

    def features(self, batch: PackedBatch) -> torch.Tensor:
        return self.embed_tokens(batch.tokens).cumsum(0)

    def lm_logits(self, features: torch.Tensor) -> torch.Tensor:
        return features @ self.embed_tokens.weight.T

    def token_losses(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -self.lm_logits(features).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)


def masked_batch(count: int, seed: int) -> PackedBatch:
    generator = torch.Generator().manual_seed(seed)
    batch = pack([torch.randint(5, V, (count + 2,), generator=generator)])
    batch.masked, batch.targets = torch.arange(count), torch.randint(5, V, (count,), generator=generator)
    return batch


CONTEXT = Context(DictionaryTensors.build([[5], [6], [7]], [[8], [9], [10]], padding=1))


def reference(encoder: TinyEncoder, batch: PackedBatch) -> torch.Tensor:
    """-log softmax at the targets, summed, written out."""
    logits = encoder.lm_logits(encoder(batch)[batch.masked])
    return sum(torch.logsumexp(row, 0) - row[t] for row, t in zip(logits, batch.targets))


def test_mlm_equals_the_plain_formula():
    encoder, batch = TinyEncoder(), masked_batch(7, 1)
    loss, size, _ = combined_loss(parse_objectives("mlm", OBJECTIVES), encoder, {"mono": batch}, Context())
    assert size == 7 and loss.item() == pytest.approx(reference(encoder, batch).item(), rel=1e-12)


def test_align_mlm_is_the_printed_sum_in_every_micro_batch():
    encoder, batch = TinyEncoder(), masked_batch(4, 1)
    loss, size, _ = combined_loss(parse_objectives("mlm,align:10", OBJECTIVES), encoder, {"mono": batch}, CONTEXT)
    expected = reference(encoder, batch) / 4 + 10 * alignment_loss(encoder.embed_tokens.weight, CONTEXT.entries)
    assert (loss / size).item() == pytest.approx(expected.item(), rel=1e-12)


def test_d8_scaling_the_alignment_is_exact_for_unequal_micro_batches_and_workers():
    """fairseq divides summed gradients by summed sample sizes: counts (3, 5) and (4, 8), alpha L = -2.5."""
    encoder = TinyEncoder()
    alpha = -2.5 / alignment_loss(encoder.embed_tokens.weight, CONTEXT.entries).item()
    if alpha < 0:  # the weight must be positive: mirror one side
        CONTEXT.entries.target[:] = CONTEXT.entries.target.flip(0)
        alpha = -2.5 / alignment_loss(encoder.embed_tokens.weight, CONTEXT.entries).item()
    total, size, mlm = 0.0, 0, 0.0
    for count in (3, 5, 4, 8):
        batch = masked_batch(count, count)
        loss, n, _ = combined_loss(
            parse_objectives(f"mlm,align:{abs(alpha)}", OBJECTIVES), encoder, {"mono": batch}, CONTEXT
        )
        total, size, mlm = total + loss.item(), size + n, mlm + reference(encoder, batch).item()
    sign = 1 if alpha > 0 else -1
    assert total / size - mlm / size == pytest.approx(-2.5 * sign, rel=1e-9)


@pytest.mark.parametrize("text", ["mlm", "mlm,tlm", "mlm,tlm,align:10"])
def test_gradients_do_not_depend_on_how_four_micro_batches_are_dealt_out(text):
    """1 worker x 4, 2 x 2, 4 x 1: the sums are the same sums."""
    micro = [{"mono": masked_batch(2 + i, i), "bitext": masked_batch(3 + 2 * i, 9 + i)} for i in range(4)]
    micro[2].pop("bitext")
    gradients = []
    for groups in ([[0, 1, 2, 3]], [[0, 2], [1, 3]], [[0], [1], [2], [3]]):
        summed, sizes = torch.zeros(V, D, dtype=torch.float64), 0
        for worker in groups:
            encoder = TinyEncoder()
            for i in worker:
                loss, size, _ = combined_loss(parse_objectives(text, OBJECTIVES), encoder, micro[i], CONTEXT)
                loss.backward()
                sizes += size
            summed += encoder.embed_tokens.weight.grad
        gradients.append(summed / sizes)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-12)
    assert torch.allclose(gradients[0], gradients[2], atol=1e-12)


def test_mlm_and_tlm_are_one_token_objective():
    encoder, mono, bitext = TinyEncoder(), masked_batch(3, 1), masked_batch(9, 2)
    objectives = parse_objectives("mlm,tlm", OBJECTIVES)
    loss, size, losses = combined_loss(objectives, encoder, {"mono": mono, "bitext": bitext}, Context())
    assert size == 12 and losses["mlm"].count == 3 and losses["tlm"].count == 9
    assert loss.item() == pytest.approx(losses["mlm"].sum.item() + losses["tlm"].sum.item(), rel=1e-12)


def test_a_batch_without_masked_tokens_is_zero_not_nan():
    encoder, batch = TinyEncoder(), masked_batch(0, 1)
    loss, size, _ = combined_loss(parse_objectives("mlm", OBJECTIVES), encoder, {"mono": batch}, Context())
    loss.backward()
    assert (loss.item(), size) == (0.0, 0)


def test_a_dictionarys_size_never_stands_in_for_a_count_of_tokens():
    """Without masked tokens a micro-batch adds nothing, and its backward pass still reaches all."""
    encoder = TinyEncoder()
    objectives = parse_objectives("mlm,align:2", OBJECTIVES)
    loss, size, losses = combined_loss(objectives, encoder, {"mono": masked_batch(0, 1)}, CONTEXT)
    loss.backward()
    assert (loss.item(), size, losses["align"].count) == (0.0, 0, 3)
    assert encoder.embed_tokens.weight.grad is not None and encoder.embed_tokens.weight.grad.abs().sum() == 0


def test_a_list_without_any_text_counts_its_own_terms():
    encoder = TinyEncoder()
    loss, size, _ = combined_loss(parse_objectives("align:2", OBJECTIVES), encoder, {}, CONTEXT)
    expected = 2 * alignment_loss(encoder.embed_tokens.weight, CONTEXT.entries).item()
    assert size == 3 and (loss / size).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mlm,aling:10", "Did you mean 'align'"),
        ("mlm,mlm", "names 'mlm' twice"),
        ("mlm:-1", "must be a number of at least 0"),
        ("mlm:x", "must be a number of at least 0"),
        ("", "is empty"),
    ],
)
def test_a_wrong_list_of_objectives_says_what_is_wrong(text, said):
    with pytest.raises(UserError, match=said):
        parse_objectives(text, OBJECTIVES)
