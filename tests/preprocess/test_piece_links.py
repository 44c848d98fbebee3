"""Links between words become links between pieces, under every kind of tokenizer."""

import pytest

from fairseq_xalign.data.words import word_spans
from fairseq_xalign.errors import UserError
from preprocess.piece_links import LINK_PIECES, LinkSettings, encode_links
from tests.support.small_tokenizers import KINDS, LINES, small, small_doubled

TEXTS = [
    *sorted(LINES, key=len)[10:16],
    "The price, in U.S.-dollars: 3,50 (don't!).",
    "走って price 中文走 ½ ㍿",
    "a\u200cb  naïve e\u0301tude",
]


def encoded(tokenizer, pieces, text, links, words="split"):
    return encode_links(tokenizer, LinkSettings(pieces, words), ([text], [text]), [links], [0], "links", 1)


def pairs(found):
    assert found.lengths.tolist() == [len(found.flat)]
    return list(map(tuple, found.flat.reshape(-1, 2).tolist()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", ["split", "space"])
def test_a_word_linked_with_itself_links_exactly_the_pieces_that_stand_for_its_characters(kind, words):
    tokenizer = small(kind)
    for text in TEXTS:
        ids, spans = tokenizer.encode_with_spans(text)
        assert ids == tokenizer.encode(text)
        places = word_spans(text, words)
        for number, (begin, end) in enumerate(places):
            own = [i for i, (a, b) in enumerate(spans.tolist()) if a < end and b > begin]
            assert own, (kind, text, text[begin:end])
            link = f"{number}-{number}"
            assert pairs(encoded(tokenizer, "all", text, link, words)) == [(i, j) for i in own for j in own]
            assert pairs(encoded(tokenizer, "first", text, link, words)) == [(own[0], own[0])]
            assert pairs(encoded(tokenizer, "last", text, link, words)) == [(own[-1], own[-1])]
            assert pairs(encoded(tokenizer, "in-order", text, link, words)) == [(i, i) for i in own]


def test_every_piece_of_a_text_belongs_to_one_of_its_words():
    for kind in KINDS:
        tokenizer = small(kind)
        for text in TEXTS:
            all_words = " ".join(f"{i}-{i}" for i in range(len(word_spans(text))))
            linked = {i for link in pairs(encoded(tokenizer, "all", text, all_words)) for i in link}
            assert linked == set(range(len(tokenizer.encode(text)))), (kind, text)


def test_wordpiece_splits_chinese_as_links_do():
    tokenizer = small("wordpiece")
    text, links = "price 中文走", "1-1 2-3 3-2"
    found = pairs(encoded(tokenizer, "all", text, links))
    start = len(tokenizer.encode("price"))
    assert len(tokenizer.encode(text)) == start + 3
    assert found == [(start, start), (start + 1, start + 2), (start + 2, start + 1)]


@pytest.mark.parametrize("kind", ["trained", "wordpiece", "bbpe"])
def test_transliterated_text_has_the_links_of_the_natural_one(kind):
    tokenizer = small_doubled(kind)
    natural = next(line for line in LINES if len(tokenizer.encode(line)) > len(line.split()) + 2)
    derived = " ".join(tokenizer.transliterate(word) for word in natural.split())
    links = " ".join(f"{i}-{i}" for i in range(len(natural.split())))
    ours, theirs = (pairs(encoded(tokenizer, "all", text, links, "space")) for text in (natural, derived))
    assert ours == theirs and len(ours) > len(natural.split())


def test_words_of_several_pieces_are_linked_all_to_all_or_in_order():
    tokenizer = small("trained")
    words = sorted({w for line in LINES for w in line.split() if w.isalpha()}, key=lambda w: len(tokenizer.encode(w)))
    short, long = words[0], words[-1]
    n, m = len(tokenizer.encode(short)), len(tokenizer.encode(long))
    assert n < m

    def linked(pieces):
        texts = [f"{short} {short}"], [f"{short} {long}"]
        return pairs(encode_links(tokenizer, LinkSettings(pieces), texts, ["1-1"], [0], "links", 1))

    assert linked("all") == [(n + i, n + j) for i in range(n) for j in range(m)]
    assert linked("in-order") == [(n + i, n + i) for i in range(n)]
    assert linked("first") == [(n, n)] and linked("last") == [(2 * n - 1, n + m - 1)]


def test_pieces_that_two_linked_words_share_are_linked_once():
    tokenizer = small("trained")
    text = "a" + "\u0301" + "-b"
    found = encoded(tokenizer, "all", text, " ".join(f"{i}-{i}" for i in range(len(word_spans(text)))))
    assert len(pairs(found)) == len(set(pairs(found)))


@pytest.mark.parametrize(
    ("links", "hints"),
    [
        ("1-1 3-2", ["seem to count from 1"]),  # words 0 to 2 and 0 to 1
        ("0-0 1-2", ["fit if the target came first"]),
        ("0-0 9-9", ["Give the text that was linked"]),
        ("0-1 3-1", ["fit with --link-words split"]),
    ],
)
def test_links_to_words_that_are_not_there_are_explained(links, hints):
    with pytest.raises(UserError) as caught:
        encode_links(
            small("trained"), LinkSettings("all", "space"), (["one two three."], ["eins zwei"]), [links], [0], "FILE", 7
        )
    text = str(caught.value)
    assert "FILE:7" in text and "this pair has 3 and 2 words" in text
    assert all(hint in text for hint in hints), text


def test_links_of_pairs_that_are_left_out_are_checked_and_not_kept():
    texts = ["a b", "c d", "e f"], ["a", "b", "c"]
    found = encode_links(small("trained"), LinkSettings(), texts, ["0-0", "1-0", ""], [0, 2], "links", 1)
    assert found.lengths.tolist()[1] == 0 and len(found.lengths) == 2 and (found.read, found.zeros) == (2, 2)
    with pytest.raises(UserError, match="links:2"):
        encode_links(small("trained"), LinkSettings(), texts, ["0-0", "2-0", ""], [0], "links", 1)


def test_the_choices_are_named_as_the_option_says():
    assert list(LINK_PIECES) == ["all", "first", "last", "in-order"]
