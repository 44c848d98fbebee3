"""Translation batches: the sentences of a window, laid out as encoder and decoder read them."""

import numpy as np
import pytest
import torch

from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate import CollateOptions
from fairseq_xalign.data.collate_translation import TranslationCollater
from fairseq_xalign.data.directions import DirectionStream, Limits
from fairseq_xalign.data.windows import Planner, one_pass
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.masking import MaskingOptions
from fairseq_xalign.objectives.translation import TranslationBatch
from fairseq_xalign.objectives.view import View
from tests.support.toy import VOCABULARY, V, mono, write_tokens

LANGUAGES = {"en": 1, "de": 2, "fr": 3}
TAGS = {"en": 490, "de": 491, "fr": 492}


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """en-de and de-en over one text, fr-en over another; number 2 of fr-en is empty, 3 too long."""
    folder = tmp_path_factory.mktemp("pairs")
    english, german = (write_tokens(folder / name, n, seed) for name, n, seed in
                       (("en", [3, 6, 4, 2], 1), ("de", [5, 2, 4, 7], 2)))  # fmt: skip
    french, other = (write_tokens(folder / name, n, seed) for name, n, seed in
                     (("fr", [4, 4, 1, 9], 3), ("en2", [2, 5, 3, 3], 4)))  # fmt: skip
    limits = Limits(source=9)
    return [
        DirectionStream("en", "de", (english, german), limits),
        DirectionStream("de", "en", (german, english), limits),
        DirectionStream("fr", "en", (french, other), limits),
    ]


def collater(streams, target_token, views=None):
    options = CollateOptions(views or {}, VOCABULARY, LANGUAGES, folder="DATA")
    directions = [s.kind == "direction" for s in streams]
    tags = [TAGS[s.languages[1]] if ours else None for s, ours in zip(streams, directions)]
    numbers = np.cumsum(directions) - 1
    return TranslationCollater(streams, options, tags, target_token, [n if o else None for n, o in
                                                                      zip(numbers.tolist(), directions)])  # fmt: skip


def rows(packed, values=None):
    starts, values = packed.starts.tolist(), packed.tokens if values is None else values
    return [values[a:b].tolist() for a, b in zip(starts, starts[1:])]


@pytest.mark.parametrize("target_token", ["source", "separate", "none"])
def test_a_batch_holds_any_mixture_of_directions_as_encoder_and_decoder_read_them(streams, target_token):
    plan = Planner(streams, np.array([0.4, 0.3, 0.3]), 10, Budget(tokens=1000), seed=1)
    window = plan.plan(plan.start())
    assert len(window.batches) == 1
    sample = collater(streams, target_token)(window, 0)
    batch = TranslationBatch.from_dict(sample["translation"])
    units = sample["units"]["direction"].tolist()
    assert len({s for s, _ in units}) == 3 and sample["nsentences"] == len(units) == len(batch)
    assert not {(2, 2), (2, 3)} & set(map(tuple, units)), "empty or too long"
    sources, inputs, targets = rows(batch.source), rows(batch.target), rows(batch.target, batch.target.targets)
    for i, (s, unit) in enumerate(units):
        x, y = (m[unit].tolist() for m in streams[s].mapped)
        tag = TAGS[streams[s].languages[1]]
        assert sources[i] == ([tag, *x] if target_token == "source" else x)
        assert inputs[i] == [2, *y[:-1]] and targets[i] == y and y[-1] == 2
        if target_token == "separate":
            assert rows(batch.tags)[i] == [tag]
    assert (batch.tags is None) == (target_token != "separate")
    assert batch.direction.tolist() == [s for s, _ in units]
    for packed, side in ((batch.source, 0), (batch.target, 1)):
        for i, (positions, languages) in enumerate(zip(rows(packed, packed.positions), rows(packed, packed.languages))):
            assert positions == list(range(len(positions)))
            assert set(languages) == {LANGUAGES[streams[units[i][0]].languages[side]]}
        assert packed.longest == int(packed.lengths.max()) and packed.masked is None
    assert sample["ntokens"] == len(batch.target.tokens) == sum(map(len, targets))


def test_a_batch_survives_the_trip_to_plain_dictionaries_and_back(streams):
    window = one_pass(streams, Budget(tokens=1000), 1, 100)[0]
    values = collater(streams, "separate")(window, 0)["translation"]
    again = TranslationBatch.from_dict(values).to("cpu").to_dict()
    assert values.keys() == again.keys() and isinstance(values["source"], dict)
    assert torch.equal(values["source"]["tokens"], again["source"]["tokens"])


def test_the_budget_counts_exactly_the_tokens_of_both_sides(streams):
    for target_token, tagged in (("source", 1), ("none", 0)):
        ours = [DirectionStream(*s.languages, s.mapped, s.limits, tagged=bool(tagged)) for s in streams]
        plan = Planner(ours, np.array([0.4, 0.3, 0.3]), 20, Budget(tokens=30), seed=1)
        window = plan.plan(plan.start())
        for b in range(len(window.batches)):
            batch = TranslationBatch.from_dict(collater(ours, target_token)(window, b)["translation"])
            assert len(batch.source.tokens) + len(batch.target.tokens) <= 30
        assert len(window.batches) > 2


def test_text_of_one_language_is_hidden_beside_the_pairs(streams, tmp_path):
    both = [*streams, mono(tmp_path, "en", [9] * 8)]
    plan = Planner(both, np.array([0.3, 0.2, 0.2, 0.3]), 16, Budget(tokens=60), seed=1, every_kind=True)
    window = plan.plan(plan.start())
    build = collater(both, "source", {"mono": View("mono", MaskingOptions())})
    for b in range(len(window.batches)):
        sample = build(window, b)
        assert {"mono"} == sample["streams"].keys() and sample["streams"]["mono"]["masked"] is not None
        assert sample["ntokens"] == len(sample["translation"]["target"]["tokens"]), "target tokens alone"


@pytest.mark.parametrize("side", [0, 1])
def test_ids_that_the_vocabulary_lacks_name_their_direction_and_the_remedy(tmp_path, side):
    sides = [write_tokens(tmp_path / f"{k}", [4, 4], seed=k) for k in (0, 1)]
    ids = np.fromfile(tmp_path / f"{side}.bin", dtype=np.uint16)
    ids[1] = V
    ids.tofile(tmp_path / f"{side}.bin")
    damaged = [DirectionStream("en", "de", (sides[0], sides[1]))]
    window = one_pass(damaged, Budget(tokens=100), 1, 10)[0]
    with pytest.raises(UserError, match="DATA: direction/en-de is damaged.*`xalign-preprocess check DATA`"):
        collater(damaged, "source")(window, 0)
