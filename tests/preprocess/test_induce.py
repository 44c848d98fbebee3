"""``xalign-preprocess dictionary --bitext``: pairs of words that parallel text links to each other."""

import json
from collections import Counter
from pathlib import Path

import pytest

from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.__main__ import main
from preprocess.induce import Spellings, count_links, induced, is_word, mutual_best
from preprocess.words import split_words
from tests.support.made_up import parallel, vocabulary
from tests.support.samples import subword_folder, train_model, write_lines


def trained_on(folder, *texts):
    """A subword folder whose pieces spell the words of the texts."""
    lines = [line for text in texts for line in Path(text).read_text().splitlines()] * 3
    tokenizer = Tokenizer.trained(train_model(lines, 60, hard_vocab_limit=False), ["xx", "yy"])
    tokenizer.save(folder)
    return tokenizer


@pytest.fixture
def place(tmp_path):
    subword_folder(tmp_path / "sub")
    return tmp_path


def dictionary(place, source, target, *options):
    folders = ["--subword", str(place / "sub"), "--output", str(place / "out.tsv"), "--json"]
    bitext = ["--bitext", f"{source},{target}", "--source", "xx", "--target", "yy"]
    return main(["dictionary", *bitext, *folders, *options])


def word_for_word(folder, source):
    """The right links of the made-up pair whose order is the same on both sides."""
    lines = [split_words(line) for line in Path(source).read_text().splitlines()]
    return str(write_lines(folder / "links", [pharaoh.line_of({(i, i) for i in range(len(words))}) for words in lines]))


def entries(place, tokenizer):
    found = Dictionary.load(place / "out.tsv", tokenizer)
    assert found.weights == [1.0] * len(found)
    return {tokenizer.decode(s).strip(): tokenizer.decode(t).strip() for s, t in zip(found.source, found.target)}


@pytest.mark.parametrize("given", [True, False])
def test_the_dictionary_of_a_made_up_language_is_recovered(tmp_path, capsys, given):
    source, target = parallel(tmp_path, swap=not given)
    tokenizer = trained_on(tmp_path / "sub", source, target)
    options = ["--links", word_for_word(tmp_path, source)] if given else []
    assert dictionary(tmp_path, source, target, "--pieces", "mean", *options) == 0
    report = json.loads(capsys.readouterr().out)
    assert entries(tmp_path, tokenizer) == vocabulary()  # precision and recall 1, targets with their capital
    assert report["sentence pairs"] == 200
    assert report["entries"] == report["entries read"] == len(vocabulary())
    if given:
        assert report["links"] == sum(len(split_words(line)) for line in Path(source).read_text().splitlines())
        assert report["candidate pairs"] == len(vocabulary())
    made = Dictionary.load(tmp_path / "out.tsv", tokenizer).header["made"]
    assert (made["kind"], made["files"], made["min_count"]) == ("bitext", ["pair.xx", "pair.yy"], 3)
    assert (made["linked_by"]["file"] == "links") if given else (made["linked_by"] == "intersect")


def test_links_of_a_file_are_taken_as_they_are(tmp_path, capsys):
    source = write_lines(tmp_path / "a", ["one two"] * 4)
    target = write_lines(tmp_path / "b", ["eins zwei"] * 4)
    tokenizer = trained_on(tmp_path / "sub", source, target)
    crossed = str(write_lines(tmp_path / "links", ["0-1 1-0"] * 4))
    assert dictionary(tmp_path, source, target, "--links", crossed, "--pieces", "mean") == 0
    assert entries(tmp_path, tokenizer) == {"one": "zwei", "two": "eins"}


def test_only_partners_that_prefer_each_other_are_kept():
    pairs = Counter({("a", "x"): 9, ("a", "y"): 5, ("b", "y"): 7, ("b", "x"): 8, ("c", "z"): 3, ("d", "v"): 2})
    assert list(mutual_best(pairs, 3)) == [("a", "x"), ("c", "z")]  # b prefers x, which prefers a
    assert list(mutual_best(pairs, 2)) == [("a", "x"), ("c", "z"), ("d", "v")]
    assert list(mutual_best(pairs, 10)) == []


def test_ties_do_not_depend_on_the_order_of_reading():
    tied = {("a", "y"): 4, ("b", "x"): 4, ("a", "x"): 4, ("b", "y"): 4}
    assert list(mutual_best(Counter(tied), 1)) == [("a", "x")]
    assert list(mutual_best(Counter(dict(reversed(tied.items()))), 1)) == list(mutual_best(Counter(tied), 1))


@pytest.mark.parametrize(
    ("lines", "usual"),
    [
        (["Das Haus steht", "Ein Haus", "das haus"], {"haus": "Haus", "das": "das", "ein": "Ein", "steht": "steht"}),
        (["Er sagt: Das ist", "und das"], {"das": "das"}),
        (["„Geh!“ sagt er", "geh ", "er geh"], {"geh": "geh"}),
        (["a NASA b Nasa", "die NASA"], {"nasa": "NASA"}),
        (["a Rom b rom"], {"rom": "rom"}),  # a tie
    ],
)
def test_a_word_is_spelled_as_it_mostly_is_inside_a_sentence(lines, usual):
    spellings = Spellings()
    for line in lines:
        spellings.count(split_words(line))
    found = spellings.usual()
    assert {word: found[word] for word in usual} == usual


@pytest.mark.parametrize(("word", "is_one"), [("a", True), ("E2", True), ("2", False), (".", False), ("漢", True)])
def test_words_have_a_letter(word, is_one):
    assert is_word(word) == is_one


def test_numbers_and_punctuation_are_not_counted():
    counts = count_links([(["a", "1", "."], ["x", "1", "."])] * 2, [{(0, 0), (1, 1), (2, 2), (1, 0)}, set()], "links")
    assert counts.pairs == {("a", "x"): 1}
    assert (counts.sentence_pairs, counts.links) == (2, 4)


def test_a_link_to_no_word_is_named_with_its_line(place, capsys):
    source, target = parallel(place, 3)
    links = str(write_lines(place / "links", ["0-0", "0-0 0-99", ""]))
    assert dictionary(place, source, target, "--links", links) == 1
    error = capsys.readouterr().err
    assert f"{links}:2: the link 0-99 is to a word that is not there: this pair has " in error
    assert "Give the text that was linked" in error
    with pytest.raises(UserError, match="the link 1-0 is to a word that is not there: this pair has 1 and 1 words"):
        count_links([(["a"], ["x"])], [{(1, 0)}], "links")


def test_wrong_options_are_one_line(place, capsys):
    source, target = parallel(place, 3)
    short = str(write_lines(place / "short", ["0-0"] * 2))
    empty = str(write_lines(place / "empty", [""] * 3))
    muse = str(write_lines(place / "muse", ["a b"]))
    cases = [
        (["--links", short], f"{source} has 3 lines, but {short} has 2"),
        (["--links", short, "--min-count", "0"], "--min-count 0"),
        (["--links", empty], "Nothing is linked: is the text empty?"),
        (["--links", empty, "--share", "0.5"], "--share is for --derived"),
    ]
    for options, message in cases:
        assert dictionary(place, source, target, *options) == 1
        assert message in capsys.readouterr().err
    assert dictionary(place, source, "x,y", "--links", empty) == 1
    assert "does not name two files" in capsys.readouterr().err
    output = ["--source", "xx", "--target", "yy", "--subword", str(place / "sub"), "--output", str(place / "out.tsv")]
    for option in ("--links", "--min-count"):
        assert main(["dictionary", "--muse", muse, *output, option, "3"]) == 1
        assert f"{option} is for --bitext" in capsys.readouterr().err


def test_too_few_links_say_how_many_there_were(place, capsys):
    source, target = parallel(place, 3, swap=False)
    links = word_for_word(place, source)
    assert dictionary(place, source, target, "--links", links, "--min-count", "50") == 1
    error = capsys.readouterr().err
    assert "no two words are linked 50 times: 3 sentence pairs, " in error
    assert "Lower --min-count" in error


def test_links_are_read_with_the_words_that_their_note_names(place, capsys):
    source = str(write_lines(place / "a.txt", ["don't go"] * 4))
    target = str(write_lines(place / "b.txt", ["geh nicht"] * 4))
    links = place / "links"
    assert main(["links", "--source", f"xx={source}", "--target", f"yy={target}", "--words", "space",
                 "--output", str(links)]) == 0  # fmt: skip
    found, _, _ = induced(source, target, links)
    linked = {(s, t) for pair in pharaoh.read(links) for s, t in pair}
    assert set(found) <= {("don't go".split()[s], "geh nicht".split()[t]) for s, t in linked} and found


@pytest.mark.parametrize(
    ("files", "remedy"),
    [(("b.txt", "a.txt"), "These links would fit if the target came first"), (("a.txt", "c.txt"), "Link the text")],
)
def test_links_whose_note_names_other_text_are_refused(place, files, remedy):
    for name, line in (("a.txt", "one two"), ("b.txt", "eins zwei"), ("c.txt", "un deux")):
        write_lines(place / name, [line] * 4)
    links = place / "links"
    assert main(["links", "--source", f"xx={place / 'a.txt'}", "--target", f"yy={place / 'b.txt'}",
                 "--output", str(links)]) == 0  # fmt: skip
    with pytest.raises(UserError, match="these links are of") as raised:
        induced(*(str(place / name) for name in files), links)
    assert remedy in str(raised.value)


@pytest.mark.parametrize(
    ("link", "remedy"),
    [((2, 1), "seem to count from 1"), ((1, 2), "would fit if the target came first")],
)
def test_links_out_of_range_are_explained(link, remedy):
    words = (["a", "b"], ["x"]) if link == (2, 1) else (["a", "b", "c"], ["x", "y"])
    with pytest.raises(UserError) as raised:
        count_links([words], [{link}], "links")
    assert remedy in str(raised.value)
