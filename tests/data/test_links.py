"""Links in batches: places of the very pieces that are linked, whatever the layout, the order of sides, or a cut."""

import numpy as np
import pytest
import torch

from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate import CollateOptions, Collater
from fairseq_xalign.data.links import LINK_TYPE, linked_places
from fairseq_xalign.data.mmap import MappedTokens, Writer
from fairseq_xalign.data.windows import one_pass
from fairseq_xalign.objectives.batch import PackedBatch, concatenate
from fairseq_xalign.objectives.view import View
from tests.support.toy import VOCABULARY, bitext

LANGUAGES = {"en": 1, "de": 2, "fr": 3}
PAIRS = [4, 6, 5, 3, 7, 4, 2, 9]


def linked_bitext(folder, pair=("en", "de"), limit=48, packing="pairs", seed=1):
    """A stream of pairs with one to four links each; the third has none."""
    stream = bitext(folder, pair, PAIRS, limit=limit, packing=packing)
    draw = np.random.default_rng(seed)
    with Writer(folder / "links", LINK_TYPE) as writer:
        for number, length in enumerate(PAIRS):
            count = 0 if number == 2 else int(draw.integers(1, 5))
            writer.write(np.unique(draw.integers(0, length - 1, (count, 2)), axis=0).reshape(-1))
    stream.links = MappedTokens(folder / "links")
    return stream


def samples(streams, view, tokens=64):
    build = Collater(streams, CollateOptions({"bitext": view}, VOCABULARY, LANGUAGES, links=True))
    for window in one_pass(streams, Budget(tokens=tokens), 1, 50):
        for batch in range(len(window.batches)):
            yield build(window, batch)


VIEWS = [
    View("bitext", packing="pairs", positions="continue"),
    View("bitext", packing="pairs", shuffle_order=True),
    View("bitext", packing="halves"),
    View("bitext", packing="halves", shuffle_order=True),
    View("bitext", sides="apart"),
    View("bitext", sides="apart", shuffle_order=True),
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: f"{v.sides}-{v.packing}-{v.shuffle_order}")
@pytest.mark.parametrize("packing", ["pairs", "halves"])
def test_linked_places_hold_the_linked_pieces_source_first(tmp_path, view, packing):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    streams = [
        linked_bitext(tmp_path / "a", packing=packing),
        linked_bitext(tmp_path / "b", ("fr", "en"), packing=packing),
    ]
    found, expected = [], []
    for sample in samples(streams, view):
        batch = PackedBatch.from_dict(sample["streams"]["bitext"])
        assert batch.links.dtype == torch.int64 and batch.links.shape[0] == 2
        tokens, languages = batch.tokens[batch.links], batch.languages[batch.links]
        found += zip(*(row.tolist() for row in (*tokens, *languages)))
        for s, unit in sample["units"]["bitext"].tolist():
            source, target = (m[unit] for m in streams[s].mapped)
            for i, j in streams[s].links[unit].reshape(-1, 2).tolist():
                expected.append((source[i], target[j], *(LANGUAGES[name] for name in streams[s].languages)))
    assert sorted(found) == sorted(expected) and len(found) > 10


@pytest.mark.parametrize("swap", [False, True])
def test_links_stay_within_their_sequence_or_pair(tmp_path, swap):
    for sides in ("joined", "apart"):
        stream = linked_bitext(tmp_path)
        for sample in samples([stream], View("bitext", sides=sides, packing="pairs", shuffle_order=swap)):
            batch = PackedBatch.from_dict(sample["streams"]["bitext"])
            sequence = torch.searchsorted(batch.starts[1:].long(), batch.links, right=True)
            assert torch.equal(*(sequence if sides == "joined" else sequence // 2))


def test_links_to_pieces_that_were_cut_off_are_left_out(tmp_path):
    stream = linked_bitext(tmp_path)
    units = np.array([4, 0, 2, 7])
    links = [stream.links[u].reshape(-1, 2).tolist() for u in units]
    begins, rooms = np.array([[10, 20], [30, 40], [50, 60], [70, 80]]), np.array([[2, 9], [9, 1], [9, 9], [0, 9]])
    expected = [
        (b[0] + i, b[1] + j)
        for rows, b, room in zip(links, begins, rooms)
        for i, j in rows
        if i < room[0] and j < room[1]
    ]
    found = linked_places(stream.links, units, begins, rooms)
    assert list(zip(*found.tolist())) == expected and len(expected) < sum(map(len, links))


def test_batches_laid_end_to_end_keep_their_links(tmp_path):
    stream = linked_bitext(tmp_path)
    batches = [PackedBatch.from_dict(s["streams"]["bitext"]) for s in samples([stream], VIEWS[0], tokens=24)]
    joined = concatenate(batches)
    pieces = [batch.tokens[batch.links] for batch in batches]
    assert len(batches) > 2 and torch.equal(joined.tokens[joined.links], torch.cat(pieces, dim=1))


def test_batches_have_no_links_where_nobody_reads_them(tmp_path):
    stream = linked_bitext(tmp_path)
    build = Collater([stream], CollateOptions({"bitext": VIEWS[0]}, VOCABULARY, LANGUAGES))
    window = one_pass([stream], Budget(tokens=64), 1, 50)[0]
    assert build(window, 0)["streams"]["bitext"]["links"] is None
