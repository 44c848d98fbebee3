"""Views of text: the same pairs joined or apart, packed or one by one, hidden or not, side by side in one sample."""

import pytest

from fairseq_xalign.data.batching import Budget, deal_batches
from fairseq_xalign.data.collate import CollateOptions, Collater
from fairseq_xalign.data.windows import one_pass
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.masking import MaskingOptions
from fairseq_xalign.objectives.negatives import keeps_second
from fairseq_xalign.objectives.view import View
from tests.support.toy import VOCABULARY, bitext, mono, planner

LANGUAGES = {"en": 1, "de": 2}
PAIRS = [4, 6, 5, 3, 7, 4, 2, 9]


def samples(streams, **views: View):
    """Every sample of one pass, with a batch under each name of ``views``."""
    named = {name.replace("_", "/"): view for name, view in views.items()}
    build = Collater(streams, CollateOptions(named, VOCABULARY, LANGUAGES))
    for window in one_pass(streams, Budget(tokens=64), 1, 50):
        for b in range(len(window.batches)):
            yield build(window, b)


def sequences(sample, name: str):
    """(tokens, languages, positions) of each sequence."""
    batch = PackedBatch.from_dict(sample["streams"][name])
    starts = batch.starts.tolist()
    for a, b in zip(starts, starts[1:]):
        yield tuple(x[a:b].tolist() for x in (batch.tokens, batch.languages, batch.positions))


@pytest.mark.parametrize("packing", ["pairs", "halves"])
@pytest.mark.parametrize("swap", [False, True])
def test_sides_apart_are_two_sequences_per_pair_however_pairs_are_packed(tmp_path, packing, swap):
    stream = bitext(tmp_path, ("en", "de"), PAIRS, limit=48, packing=packing)
    view = View("bitext", sides="apart", shuffle_order=swap)
    seen, firsts = [], set()
    for sample in samples([stream], bitext=view):
        found, units = list(sequences(sample, "bitext")), sample["units"]["bitext"][:, 1].tolist()
        assert len(found) == 2 * len(units)
        for unit, pair in zip(units, zip(found[::2], found[1::2])):
            sides = [[0, *m[unit].tolist()] for m in stream.mapped]
            order = [languages[0] - 1 for _, languages, _ in pair]
            assert sorted(order) == [0, 1]
            firsts.add(order[0])
            for side, (tokens, languages, positions) in zip(order, pair):
                assert tokens == sides[side] and set(languages) == {side + 1}
                assert positions == list(range(len(tokens)))
            seen.append(unit)
    assert sorted(seen) == list(range(len(PAIRS))) and firsts == ({0, 1} if swap else {0})


def test_one_sample_holds_packed_halves_and_the_same_pairs_one_by_one(tmp_path):
    stream = bitext(tmp_path, ("en", "de"), PAIRS, limit=48, packing="halves")
    joined = View("bitext", packing="pairs", positions="continue")
    for sample in samples([stream], bitext=View("bitext"), bitext_weam=joined):
        units = sample["units"]["bitext"][:, 1].tolist()
        packed, single = list(sequences(sample, "bitext")), list(sequences(sample, "bitext/weam"))
        assert len(packed) < len(single) == len(units)
        for unit, (tokens, languages, positions) in zip(units, single):
            source, target = (m[unit].tolist() for m in stream.mapped)
            assert tokens == [0, *source, *target] and positions == list(range(len(tokens)))
            assert languages == [1] * (1 + len(source)) + [2] * len(target)
        ordinary = [sorted(t for row in rows for t in row[0] if t) for rows in (packed, single)]
        assert ordinary[0] == ordinary[1]


def test_a_second_view_hides_other_shares_of_the_same_text_and_counts_it_once(tmp_path):
    stream = mono(tmp_path, "en", [9] * 40)
    rates = MaskingOptions(0.5), MaskingOptions(0.9)
    for sample in samples(
        [stream], mono=View("mono", rates[0]), mono_more=View("mono", rates[1]), mono_all=View("mono")
    ):
        few, many, plain = (PackedBatch.from_dict(sample["streams"][n]) for n in ("mono", "mono/more", "mono/all"))
        assert plain.masked is None and set(few.masked.tolist()) < set(many.masked.tolist())
        assert plain.tokens[few.masked].tolist() == few.targets.tolist()
        assert sample["ntokens"] == len(plain.tokens)


def test_masks_of_two_sides_apart_are_drawn_independently(tmp_path):
    stream = bitext(tmp_path, ("en", "de"), [30] * 40, limit=64)
    view = View("bitext", MaskingOptions(0.5), sides="apart")
    same = total = 0
    for sample in samples([stream], bitext=view):
        batch = PackedBatch.from_dict(sample["streams"]["bitext"])
        hidden = [set() for _ in range(len(batch))]
        for place in batch.masked.tolist():
            number = int((batch.starts[1:] <= place).sum())
            hidden[number].add(place - int(batch.starts[number]))
        for one, other in zip(hidden[::2], hidden[1::2]):
            same, total = same + len(one & other), total + len(one)
    assert 0.35 < same / total < 0.65


def test_every_batch_holds_its_share_of_each_kind_and_every_sequence_comes_once(tmp_path):
    streams = [mono(tmp_path, "en", [9] * 400), bitext(tmp_path, ("en", "de"), [4, 6, 8] * 60)]
    plan = planner(streams, [0.7, 0.3], window=200, tokens=100)
    plan.every_kind = True
    place, drawn = plan.start(), []
    for _ in range(3):
        window = plan.plan(place)
        sizes = window.lengths.sum(axis=1) + 1
        assert sorted(i for b in window.batches for i in b.tolist()) == list(range(200))
        for batch in window.batches:
            kinds = window.stream[batch].tolist()
            assert 0 < kinds.count(1) < len(kinds) and sizes[batch].sum() <= 100
            assert sizes[batch].tolist() == sorted(sizes[batch], reverse=True)
        shares = [float((window.stream[b] == 1).mean()) for b in window.batches]
        assert max(shares) - min(shares) < 0.25
        drawn += window.unit[window.stream == 0].tolist()
        place = window.following
    assert len(set(drawn)) == min(len(drawn), 400)


def test_a_budget_that_cannot_hold_every_kind_is_refused():
    import numpy as np

    order, sizes, kinds = np.arange(4), np.array([60, 50, 20, 10]), np.array(["mono", "bitext", "mono", "bitext"])
    with pytest.raises(UserError, match="--max-tokens 100 is too small .*Choose 110 or more"):
        deal_batches(order, sizes, kinds, Budget(tokens=100))
    with pytest.raises(UserError, match="--batch-size 1 is too small .*Choose 2 or more"):
        deal_batches(order, sizes, kinds, Budget(sequences=1))
    assert [b.tolist() for b in deal_batches(order, sizes, kinds, Budget(tokens=140))] == [[0, 1, 2, 3]]
    assert [b.tolist() for b in deal_batches(order, sizes, kinds, Budget(tokens=110))] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("others_from", "number"), [("other", 1), ("either", 3)])
@pytest.mark.parametrize("swap", [False, True])
def test_texts_of_other_pairs_follow_all_pairs_and_replace_the_side_that_is_not_kept(
    tmp_path, others_from, number, swap
):
    stream = bitext(tmp_path, ("en", "de"), PAIRS * 4, limit=48, packing="pairs")
    view = View("bitext", sides="apart", shuffle_order=swap, others=number, others_from=others_from)
    texts = [[[0, *m[i].tolist()] for i in range(len(stream))] for m in stream.mapped]
    sides, kept_coins = set(), set()
    for sample in samples([stream], bitext=view):
        units = sample["units"]["bitext"][:, 1].tolist()
        found, count = list(sequences(sample, "bitext")), len(units)
        keys = PackedBatch.from_dict(sample["streams"]["bitext"]).keys
        assert len(found) == count * (2 + number) and len(set(keys.tolist())) == len(keys)
        for n in range(number):
            for i, second in enumerate(keeps_second(keys[0 : 2 * count : 2], n).tolist()):
                tokens, languages, positions = found[2 * count + i * number + n]
                side = languages[0] - 1
                assert set(languages) == {side + 1} and positions == list(range(len(tokens)))
                assert tokens in texts[side][: units[i]] + texts[side][units[i] + 1 :], "of another pair"
                kept = found[2 * i + second][1][0] - 1
                sides.add((kept, side))
                kept_coins.add(second)
    assert kept_coins == {False, True}
    assert sides == ({(0, 1), (1, 0)} if others_from == "other" else {(0, 0), (0, 1), (1, 0), (1, 1)})


def test_the_only_pair_of_a_stream_stands_beside_its_own_text(tmp_path):
    stream = bitext(tmp_path, ("en", "de"), [4], limit=48, packing="pairs")
    (sample,) = samples([stream], bitext=View("bitext", sides="apart", others=2))
    first, second, *others = [tokens for tokens, _, _ in sequences(sample, "bitext")]
    assert all(tokens in (first, second) for tokens in others) and len(others) == 2
