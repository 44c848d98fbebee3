"""Readers of labelled formats: what is read is written back, what is malformed is refused with its line."""

import importlib
import io
import json
import lzma
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from preprocess.readers import FORMATS, conllu, ner, qa
from preprocess.readers.source import lines
from preprocess.readers.words import SpacedText

ROW = "1\tI\tI\tPRON\tPRP\tCase=Nom\t0\troot\t0:root\t_"
CONTENTS = {
    "classification": "light_on\tturn on  the light\n\nask\tWhat time is it?\n",
    "text": "Welcome to ACL.\n\n  two  spaces\tand a tab \nnext\u2028line\n",
    "conllu": f"# sent_id = a\n{ROW}\n2\tam\tbe\tAUX\t_\t_\t1\tcop\t_\t_\n\n# text = I\n{ROW}\n\n",
    "ner": "Anna\tB-PER\nMaria\tI-PER\n#\tO\n.\tO\n\nBonn\tB-LOC\n\n",
    "nli": "premise\thypothesis\tlabel\nI am Sam.\tSam I am.\tentailment\nA b.\t\tneutral\n",
    "qa": json.dumps(
        {
            "version": "1.1",
            "data": [
                {
                    "title": "t",
                    "paragraphs": [
                        {
                            "context": "Sam I am.",
                            "qas": [{"id": "1", "question": "Who?", "answers": [{"text": "Sam", "answer_start": 0}]}],
                        }
                    ],
                }
            ],
        },
        indent=1,
    )
    + "\n",
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("data_format", list(FORMATS))
def test_what_is_read_is_written_back_byte_for_byte(tmp_path, data_format, compressed):
    reader = importlib.import_module(FORMATS[data_format])
    path = tmp_path / ("file.xz" if compressed else "file")
    content = CONTENTS[data_format].encode()
    path.write_bytes(lzma.compress(content) if compressed else content)
    stream = io.StringIO()
    for example in reader.read(path):
        reader.write(stream, example)
    assert stream.getvalue().encode() == content


@pytest.mark.parametrize(
    ("data_format", "content", "line", "message"),
    [
        ("conllu", f"# c\n{ROW}\n2\tam\tbe\n", 3, "3 columns instead of 10"),
        ("conllu", f"{ROW}\n{ROW}\n", 2, "word id '1' where 2 should stand"),
        ("conllu", ROW.replace("\tI\tI", "\t \tI"), 1, "a word without form"),
        ("conllu", f"\n\n{ROW}".replace("\t0\troot", "\tx\troot"), 3, "head 'x' is not a number"),
        ("conllu", f"# c\n\n{ROW}\n".replace("\t0\troot", "\t2\troot"), 3, "has head 2 in a sentence of 1 words"),
        ("ner", "Anna\tB-PER\nMaria\n", 2, "not a token and a tag"),
        ("ner", "Anna\tPER\n", 1, "'PER' is not an IOB2 tag"),
        ("ner", "\tO\n", 1, "not a token and a tag"),
        ("nli", "a\tb\tc\na\tb\n", 2, "2 columns instead of 3"),
        ("qa", "{", 1, "not valid JSON"),
        ("classification", "a\tb\nturn on the light\n", 2, "not a label, a tab and a text"),
        ("classification", "ask\twhat\tis it\n", 1, "more than two columns"),
        ("text", "a\n\0\n", 2, "a NUL byte"),
    ],
)
def test_a_malformed_line_is_an_error_with_file_and_line(tmp_path, data_format, content, line, message):
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(f"{path}:{line}: ") + ".*" + re.escape(message)):
        list(importlib.import_module(FORMATS[data_format]).read(path))


@pytest.mark.parametrize(
    "content",
    ['{"data": [{}]}', "[]", '{"data": [{"paragraphs": [{"context": 1, "qas": []}]}]}'],
)
def test_json_that_is_not_squad_says_what_squad_is(tmp_path, content):
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(UserError, match=r"not SQuAD v1\.1.*answer_start"):
        list(qa.read(tmp_path / "q.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not xz", "damaged xz file"), (lzma.compress(b"a\n" * 1000)[:-20], "damaged xz file")],
)
def test_a_damaged_compressed_file_is_named(tmp_path, content, message):
    path = tmp_path / "text.xz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(lines(path))


def test_compressed_text_is_read_as_strictly_as_plain_text(tmp_path):
    content = "\ufeffa\r\nb\u2028c\u0085d\n\ne".encode()
    for name, stored in (("plain", content), ("packed.xz", lzma.compress(content))):
        (tmp_path / name).write_bytes(stored)
        assert list(lines(tmp_path / name)) == [(1, "a"), (2, "b\u2028c\u0085d"), (3, ""), (4, "e")]
    for name, stored in (("bad", b"a\n\xff\n"), ("bad.xz", lzma.compress(b"a\n\xff\n"))):
        (tmp_path / name).write_bytes(stored)
        with pytest.raises(UserError, match=f"{name}:2: invalid UTF-8"):
            list(lines(tmp_path / name))


def test_a_missing_file_is_an_error_that_names_it(tmp_path):
    for name in ("no.txt", "no.txt.xz"):
        with pytest.raises(UserError, match=name):
            list(lines(tmp_path / name))


@given(st.text(max_size=20))
def test_white_space_is_kept_to_the_last_character(text):
    spaced = SpacedText(text)
    assert spaced.words == text.split()
    assert spaced.with_words(spaced.words) == text
    longer = [word + "x" for word in spaced.words]
    changed = spaced.with_words(longer)
    assert [changed[start : start + len(word)] for start, word in zip(spaced.starts(longer), longer)] == longer


def test_multiword_ranges_and_empty_nodes_are_no_words(tmp_path):
    path = tmp_path / "t.conllu"
    underscores = "\t_" * 8
    rows = [f"1-2\tdu{underscores}", ROW, f"1.1\tx{underscores}", ROW.replace("1\tI", "2\tle")]
    path.write_text("\n".join(["# newdoc", "# sent_id = fr-1 ", *rows]), encoding="utf-8")
    (sentence,) = conllu.read(path)
    assert sentence.column(conllu.FORM) == ["I", "le"]
    assert (sentence.ranges, sentence.empty_nodes, sentence.name) == (1, 1, "fr-1")


def test_a_sentence_without_id_is_named_by_its_number(tmp_path):
    path = tmp_path / "t.conllu"
    path.write_text(f"{ROW}\n\n\n# only a comment\n\n{ROW}\n", encoding="utf-8")
    assert [(sentence.name, sentence.line) for sentence in conllu.read(path)] == [("1", 1), ("2", 6)]


def test_universal_ner_columns_and_space_divided_ones_are_read(tmp_path):
    path = tmp_path / "t.iob2"
    path.write_text("# sent_id = 1\n# text = a O\n1\tAnna\tB-PER\tB-PER#O\ts\n2\tsees\tO\tO\ts\n\n# O\nBonn B-LOC\n")
    assert [(sentence.tokens, sentence.tags) for sentence in ner.read(path)] == [
        (["Anna", "sees"], ["B-PER", "O"]),
        (["#", "Bonn"], ["O", "B-LOC"]),
    ]


@pytest.mark.parametrize(
    ("tags", "numbers", "types", "repaired"),
    [
        (["B-A", "I-A", "O", "B-A", "B-A"], [0, 0, -1, 1, 2], ["A", "A", "A"], 0),
        (["I-A", "I-A", "I-B", "O", "I-B"], [0, 0, 1, -1, 2], ["A", "B", "B"], 3),
        (["O", "O"], [-1, -1], [], 0),
    ],
)
def test_spans_of_tags_and_tags_of_spans(tags, numbers, types, repaired):
    assert ner.spans(tags) == (numbers, types, repaired)
    valid = ner.iob2(numbers, types)
    assert ner.spans(valid) == (numbers, types, 0)
    assert (valid == tags) == (repaired == 0)
