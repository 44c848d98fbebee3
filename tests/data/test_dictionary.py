"""Dictionary files: what is read, and which line is named when it cannot be."""

import pytest

from fairseq_xalign.data.dictionary import Dictionary, distinct_pairs
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import sha256
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.samples import model_bytes, subword_folder, write_lines

HEADER = '#xalign-dictionary\t{"source": "en", "target": "de", "pieces": "mean"}'


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return subword_folder(tmp_path_factory.mktemp("subword") / "sub")


def test_entries_are_ids_with_weights(tmp_path, tokenizer):
    piece = tokenizer.piece
    lines = [HEADER, f"{piece(5)} {piece(6)}\t{piece(7)}\t0.25", f"{piece(9)}\t{piece(8)}\t2"]
    path = write_lines(tmp_path / "d", lines)
    dictionary = Dictionary.load(path, tokenizer)
    assert dictionary.source == [[5, 6], [9]]
    assert dictionary.target == [[7], [8]]
    assert dictionary.weights == [0.25, 2.0]
    assert not dictionary.single
    assert len(dictionary) == 2
    assert (dictionary.source_language, dictionary.target_language) == ("en", "de")
    assert dictionary.sha256 == sha256(path)
    write_lines(path, [lines[0], lines[2]])
    assert Dictionary.load(path, tokenizer).single


def test_the_two_halves_of_a_doubled_vocabulary_are_different_pieces(tmp_path, tokenizer):
    doubled = tokenizer.doubled()
    copy = doubled.derived_ids[0]
    path = write_lines(tmp_path / "d", [HEADER, f"{doubled.piece(5)}\t{doubled.piece(copy)}\t1"])
    dictionary = Dictionary.load(path, doubled)
    assert (dictionary.source, dictionary.target) == ([[5]], [[copy]])


@pytest.mark.parametrize(
    "lines, line, message",
    [
        ([], 1, "does not begin with #xalign-dictionary"),
        (["A\tB\t1"], 1, "does not begin with #xalign-dictionary"),
        (["#xalign-dictionary\t{"], 1, "not valid JSON"),
        (['#xalign-dictionary\t{"source": "en"}'], 1, "does not name source and target"),
        ([HEADER], None, "has no entry"),
        ([HEADER, "A\tB"], 2, "2 columns, not 3"),
        ([HEADER, "A\tB\t1", ""], 3, "1 columns, not 3"),
        ([HEADER, "A\tB\t1", "A\tnowhere\t1"], 3, "piece 'nowhere' is not in the vocabulary"),
        ([HEADER, "A  A\tB\t1"], 2, "piece '' is not in the vocabulary"),
        ([HEADER, "A\t\t1"], 2, "piece '' is not in the vocabulary"),
        ([HEADER, "<unk>\tB\t1"], 2, "piece '<unk>' is a symbol that no text contains"),
        ([HEADER, "A\tB\theavy"], 2, "weight 'heavy' is not a positive number"),
        ([HEADER, "A\tB\tnan"], 2, "weight 'nan'"),
        ([HEADER, "A\tB\t-1"], 2, "weight '-1'"),
        ([HEADER, "A\tB\t0"], 2, "weight '0'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, tokenizer, lines, line, message):
    replaced = [s.replace("A", tokenizer.piece(5)).replace("B", tokenizer.piece(6)) for s in lines]
    path = write_lines(tmp_path / "d", replaced)
    with pytest.raises(UserError, match=message) as caught:
        Dictionary.load(path, tokenizer)
    assert (caught.value.where, caught.value.line) == (path, line)


def test_a_pair_counts_once_however_often_and_in_whichever_direction_it_is_listed(tmp_path, tokenizer):
    a, b, c = map(tokenizer.piece, (5, 6, 7))
    one = Dictionary.load(write_lines(tmp_path / "d", [HEADER, *9 * [f"{a}\t{b}\t1"], f"{a}\t{c}\t2"]), tokenizer)
    assert (one.source, one.target, one.weights, one.duplicates) == ([[5], [5]], [[6], [7]], [1.0, 2.0], 8)
    other = Dictionary.load(write_lines(tmp_path / "e", [HEADER, f"{b}\t{a}\t1", f"{b}\t{c}\t1"]), tokenizer)
    assert distinct_pairs([one, other]) == ([[5], [5], [6]], [[6], [7], [7]])


def test_language_tokens_are_no_entries(tmp_path):
    tokenizer = Tokenizer.trained(model_bytes(), ["en", "de"], ["de"])
    path = write_lines(tmp_path / "d", [HEADER, f"<2de>\t{tokenizer.piece(6)}\t1"])
    with pytest.raises(UserError, match="'<2de>' is a symbol that no text contains"):
        Dictionary.load(path, tokenizer)


def test_a_dictionary_of_another_vocabulary_is_refused(tmp_path, tokenizer):
    header = f'#xalign-dictionary\t{{"source": "en", "target": "de", "vocabulary_sha256": "{tokenizer.sha256}"}}'
    path = write_lines(tmp_path / "d", [header, f"{tokenizer.piece(5)}\t{tokenizer.piece(6)}\t1"])
    assert len(Dictionary.load(path, tokenizer)) == 1
    with pytest.raises(UserError, match="made for another vocabulary"):
        Dictionary.load(path, tokenizer.doubled())
