"""Masking: rates as printed, nothing that must not be hidden, the same for any batch."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.objectives.batch import PackedBatch, concatenate, pack
from fairseq_xalign.objectives.dict_mlm import DictionaryOptions, Translations
from fairseq_xalign.objectives.masking import MaskingOptions, Vocabulary, mask_tokens
from fairseq_xalign.objectives.random import name_key

V, MASK, FIRST = 1005, 4, 5
VOCABULARY = Vocabulary(size=V, mask=MASK, first=FIRST, last=V, pieces=500)
MANY = 400_000


def batch_of(tokens: list[list[int]], keys: list[int], languages: int | None = None) -> PackedBatch:
    batch = replace(pack(tokens), keys=torch.tensor(keys))
    return batch if languages is None else replace(batch, languages=torch.full_like(batch.tokens, languages))


def long_batch(count: int = MANY) -> PackedBatch:
    """One long sequence of natural pieces, so that rates can be read off."""
    return batch_of([[FIRST + i % 500 for i in range(count)]], [name_key("long")], languages=1)


def fates(batch: PackedBatch, masked: PackedBatch) -> dict[str, float]:
    """Shares of the selected positions by what the encoder sees there."""
    before, after = batch.tokens[masked.masked], masked.tokens[masked.masked]
    count = len(before)
    copy = before + 500
    return {
        "selected": count / len(batch.tokens),
        "mask": float((after == MASK).sum()) / count,
        "same": float((after == before).sum()) / count,
        "copy": float((after == copy).sum()) / count,
        "other": float(((after != MASK) & (after != before) & (after != copy)).sum()) / count,
    }


def close(found: float, expected: float, n: int) -> bool:
    """Within five standard deviations of a share of n draws."""
    return abs(found - expected) < 5 * (max(expected * (1 - expected), 1e-6) / n) ** 0.5 + 2.5e-3


def test_bert_masking_has_15_percent_and_80_10_10():
    batch = long_batch()
    found = fates(batch, mask_tokens(batch, VOCABULARY, MaskingOptions()))
    for name, expected in (("selected", 0.15), ("mask", 0.8), ("same", 0.1), ("other", 0.1)):
        assert close(found[name], expected, MANY if name == "selected" else int(0.15 * MANY)), (name, found)


# Where the selected positions end up in the released code of ALIGN-MLM (its DICT-MLM baseline)
@pytest.mark.parametrize(
    ("share", "mask", "random", "synonym", "unchanged"),
    [(0.25, 0.40, 0.05, 0.125, 0.425), (0.5, 0.40, 0.05, 0.25, 0.30)],
)
def test_dict_mlm_selected_positions_end_as_in_the_released_code(share, mask, random, synonym, unchanged):
    batch = long_batch()
    members = range(FIRST, FIRST + int(500 * share))
    translations = Translations.build([(1, i, i + 500, 2) for i in members], V)
    masked = mask_tokens(batch, VOCABULARY, MaskingOptions(), DictionaryOptions(), translations)
    found, n = fates(batch, masked), int(0.15 * MANY)
    for name, expected in (("mask", mask), ("other", random), ("copy", synonym), ("same", unchanged)):
        assert close(found[name], expected, n), (name, found)
    assert torch.equal(masked.targets, batch.tokens[masked.masked]), "no label is cross-lingual with --target input"


def test_dict_mlm_flips_the_language_where_a_translation_stands_and_nowhere_else():
    batch = long_batch(20_000)
    translations = Translations.build([(1, i, i + 500, 2) for i in range(FIRST, FIRST + 500)], V)
    # without random replacements a copy can only come from the dictionary
    masked = mask_tokens(batch, VOCABULARY, MaskingOptions(random_token_prob=0.0), DictionaryOptions(), translations)
    assert torch.equal(masked.languages == 2, masked.tokens == batch.tokens + 500)
    assert (masked.languages == 2).any()
    assert (masked.target_languages == 1).all(), "losses are counted for the language of the text"


def test_dict_mlm_label_variant_changes_labels_and_not_what_is_seen():
    batch = long_batch(50_000)
    translations = Translations.build([(1, i, i + 500, 2) for i in range(FIRST, FIRST + 500)], V)
    plain = mask_tokens(batch, VOCABULARY, MaskingOptions())
    label = mask_tokens(batch, VOCABULARY, MaskingOptions(), DictionaryOptions(dict_mlm_target="label"), translations)
    assert torch.equal(plain.tokens, label.tokens) and torch.equal(plain.masked, label.masked)
    changed = (label.targets == plain.targets + 500).float().mean()
    assert close(float(changed), 0.5, 7_500)


# The other variant: half of the selected tokens go to the dictionary, the share of them that is in it is
# translated, and all others (0.875, or 0.75) are masked 80/10/10
@pytest.mark.parametrize(
    ("share", "mask", "random", "synonym", "unchanged"),
    [(0.25, 0.70, 0.0875, 0.125, 0.0875), (0.5, 0.60, 0.075, 0.25, 0.075)],
)
def test_dict_mlm_normal_nonmembers_are_masked_as_usual(share, mask, random, synonym, unchanged):
    batch = long_batch()
    members = range(FIRST, FIRST + int(500 * share))
    translations = Translations.build([(1, i, i + 500, 2) for i in members], V)
    options = DictionaryOptions(dict_mlm_nonmember="normal")
    masked = mask_tokens(batch, VOCABULARY, MaskingOptions(), options, translations)
    found, n = fates(batch, masked), int(0.15 * MANY)
    for name, expected in (("mask", mask), ("other", random), ("copy", synonym), ("same", unchanged)):
        assert close(found[name], expected, n), (name, found)


def test_several_translations_are_all_used():
    translations = Translations.build([(1, FIRST, FIRST + 600, 2), (1, FIRST, FIRST + 700, 3)], V)
    batch = batch_of([[FIRST] * 5_000], [1], languages=1)
    options = MaskingOptions(mask_prob=1.0, random_token_prob=0.0)
    masked = mask_tokens(batch, VOCABULARY, options, DictionaryOptions(dict_mlm_prob=1.0), translations)
    share = float((masked.tokens == FIRST + 600).float().mean())
    assert close(share, 0.5, 5_000) and set(masked.languages.tolist()) == {2, 3}


@pytest.mark.parametrize(("language", "halves"), [("any", {0, 1}), ("same", {1}), ("l1", {0})])
def test_random_tokens_come_from_the_language_asked_for(language, halves):
    vocabulary = replace(VOCABULARY, random_language=language)
    batch = batch_of([[FIRST + 500 + i % 500 for i in range(20_000)]], [3])
    masked = mask_tokens(
        batch, vocabulary, MaskingOptions(mask_prob=1.0, random_token_prob=1.0, leave_unmasked_prob=0.0)
    )
    assert {(t - FIRST) // 500 for t in masked.tokens.tolist()} == halves


def test_shared_pieces_are_never_replaced_by_the_copy_that_does_not_occur():
    shared = torch.ones(500, dtype=torch.bool)
    batch = batch_of([[FIRST + i % 500 for i in range(20_000)]], [3])
    options = MaskingOptions(mask_prob=1.0, random_token_prob=1.0, leave_unmasked_prob=0.0)
    masked = mask_tokens(batch, replace(VOCABULARY, shared=shared), options)
    assert masked.tokens.max() < FIRST + 500


@given(st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=20), min_size=1, max_size=8), st.integers(0, 99))
@settings(max_examples=60)
def test_specials_and_symbols_past_the_pieces_are_neither_hidden_nor_drawn(tokens, seed):
    vocabulary = replace(VOCABULARY, last=900, pieces=895)
    batch = batch_of(tokens, [name_key(seed, i) for i in range(len(tokens))])
    masked = mask_tokens(
        batch, vocabulary, MaskingOptions(mask_prob=1.0, random_token_prob=0.5, leave_unmasked_prob=0.2)
    )
    ordinary = (batch.tokens >= FIRST) & (batch.tokens < 900)
    assert torch.equal(masked.masked, ordinary.nonzero()[:, 0])
    assert torch.equal(masked.tokens[~ordinary], batch.tokens[~ordinary])
    seen = masked.tokens[ordinary]
    assert (((seen >= FIRST) & (seen < 900)) | (seen == MASK)).all()


@given(
    st.lists(st.lists(st.integers(FIRST, V - 1), min_size=1, max_size=30), min_size=2, max_size=6), st.integers(0, 99)
)
@settings(max_examples=40)
def test_a_sequences_masks_do_not_depend_on_its_batch(tokens, seed):
    keys = [name_key(seed, i) for i in range(len(tokens))]
    together = mask_tokens(batch_of(tokens, keys), VOCABULARY, MaskingOptions(mask_prob=0.5))
    alone = [mask_tokens(batch_of([t], [k]), VOCABULARY, MaskingOptions(mask_prob=0.5)) for t, k in zip(tokens, keys)]
    joined = concatenate(alone)
    assert torch.equal(together.tokens, joined.tokens) and torch.equal(together.masked, joined.masked)
    assert torch.equal(together.targets, joined.targets)


def test_other_keys_give_other_masks():
    tokens = [[FIRST + i for i in range(400)]]
    first = mask_tokens(batch_of(tokens, [1]), VOCABULARY, MaskingOptions())
    second = mask_tokens(batch_of(tokens, [2]), VOCABULARY, MaskingOptions())
    assert not torch.equal(first.tokens, second.tokens)
