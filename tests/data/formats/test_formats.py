"""Readers of file formats: what is read is written back, what is malformed is refused with its line."""

import bz2
import gzip
import importlib
import io
import json
import lzma
import re

import pytest

from fairseq_xalign.data.formats import columns, conllu, csv_table, header, json_lines, nli, squad, table
from fairseq_xalign.errors import UserError

ROW = "1\tI\tI\tPRON\tPRP\tCase=Nom\t0\troot\t0:root\t_"
QUESTION = {"id": "1", "question": "Who?", "answers": [{"text": "Sam", "answer_start": 0}]}


def squad_text(*questions):
    content = {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "Sam I am.", "qas": questions}]}]}
    return json.dumps(content, indent=1) + "\n"


CONTENTS = {
    "table": "light_on\tturn on  the light\n\nask\tWhat time is it?\n",
    "conllu": f"# sent_id = a\n{ROW}\n2\tam\tbe\tAUX\t_\t_\t1\tcop\t_\t_\n\n# text = I\n{ROW}\n\n",
    "columns": "Anna\tB-PER\nMaria\tI-PER\n#\tO\n.\tO\n\u00a0\tO\n\nBonn\tB-LOC\n\n",
    "nli": "premise\thypothesis\tlabel\nI am Sam.\tSam I am.\tentailment\nA b.\t\tneutral\n",
    "squad": squad_text(QUESTION),
}
COMPRESS = {"plain": bytes, "gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


def read(name, path):
    found = importlib.import_module(f"fairseq_xalign.data.formats.{name}").read(path)
    return [found] if name == "squad" else list(found)


@pytest.mark.parametrize("compression", list(COMPRESS))
@pytest.mark.parametrize("name", list(CONTENTS))
def test_what_is_read_is_written_back_byte_for_byte(tmp_path, name, compression):
    path = tmp_path / "file"
    content = CONTENTS[name].encode()
    path.write_bytes(COMPRESS[compression](content))
    stream = io.StringIO()
    for example in read(name, path):
        importlib.import_module(f"fairseq_xalign.data.formats.{name}").write(stream, example)
    assert stream.getvalue().encode() == content


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("conllu", f"# c\n{ROW}\n2\tam\tbe\n", 3, "3 columns instead of 10"),
        ("conllu", f"{ROW}\n{ROW}\n", 2, "word id '1' instead of 2"),
        ("conllu", ROW.replace("\tI\tI", "\t \tI"), 1, "a word without a form"),
        ("conllu", f"\n\n{ROW}".replace("\t0\troot", "\tx\troot"), 3, "head 'x' is not a number"),
        ("conllu", f"# c\n\n{ROW}\n".replace("\t0\troot", "\t2\troot"), 3, "has head 2 in a sentence of 1 words"),
        ("columns", "Anna\tB-PER\nMaria\n", 2, "not a token and a tag"),
        ("columns", "Anna\tPER\n", 1, "tag 'PER' is not an IOB2 tag"),
        ("columns", "Anna\tB-\n", 1, "tag 'B-' is not an IOB2 tag"),
        ("columns", "\tO\n", 1, "not a token and a tag"),
        ("columns", "in IN O O\n1996 CD B-MISC\n", 2, "3 columns, 4 in the lines before"),
        ("columns", "in IN O O\n1996 CD O NUM\n", 2, "not a token and a tag: 4 columns"),
        ("columns", "en:Bonn\tB-LOC\nen:\tO\n", 2, "not a token and a tag: 2 columns"),
        # The first line could be Universal NER's; the second shows that it is not, and nothing is guessed at.
        ("columns", "1\tCD\tI-NP\n1996\tCD\tI-NP\n", 2, "not a token and a tag: 3 columns"),
        ("nli", "a\tb\tc\na\tb\n", 2, "2 columns instead of 3"),
        ("squad", "{", 1, "not valid JSON"),
        ("table", "a\tb\nturn on the light\n", 2, "not a label, a tab and a text"),
        ("table", "ask\twhat\tis it\n", 1, "more than two columns"),
        ("json_lines", '{"a": 1}\n\n[1]\n', 3, "each line must be a JSON object"),
        ("json_lines", '{"a": 1}\n{"a": \n', 2, "not valid JSON"),
        ("json_lines", '{"id": 1, "tags": [], "id": 2}\n', 1, "the key 'id' twice"),
        ("csv_table", 'en,de\nno,nein\n"not,nicht\nwith,mit\n"a",b\n', 3, "a quote is opened and not closed"),
        ("csv_table", 'en,de\n"a"b,c\n', 2, "not valid CSV"),
        ("pharaoh", "0-0\n0-1 1:2\n", 2, "'1:2' is not a link"),
    ],
)
def test_a_malformed_line_is_an_error_with_file_and_line(tmp_path, name, content, line, message):
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(f"{path}:{line}: ") + ".*" + re.escape(message)):
        read(name, path)


@pytest.mark.parametrize("content", ['{"data": [{}]}', "[]", '{"data": [{"paragraphs": [{"context": 1, "qas": []}]}]}'])
def test_json_that_is_not_squad_says_what_squad_is(tmp_path, content):
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(UserError, match=r"not SQuAD v1\.1.*answer_start"):
        squad.read(tmp_path / "q.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [(squad_text(QUESTION, QUESTION), "two questions have the id '1'"), ('{"data": [], "data": []}', "'data' twice")],
)
def test_what_json_would_merge_in_silence_is_refused(tmp_path, content, message):
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(UserError, match=message):
        squad.read(tmp_path / "q.json")


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


def test_a_word_without_tag_is_x_and_counted_and_an_unknown_tag_is_named(tmp_path):
    from collections import Counter

    path = tmp_path / "t.conllu"
    path.write_text(f"{ROW}\n{ROW.replace('1', '2', 1).replace('PRON', '_')}\n", encoding="utf-8")
    (sentence,) = conllu.read(path)
    counts = Counter()
    assert conllu.tags(sentence, path, counts) == ["PRON", "X"] and counts[conllu.UNTAGGED] == 1
    path.write_text(ROW.replace("PRON", "CONJ"), encoding="utf-8")
    (sentence,) = conllu.read(path)
    with pytest.raises(UserError, match="t.conllu:1: unknown UPOS tag 'CONJ'.*CCONJ"):
        conllu.tags(sentence, path)


def test_a_form_may_be_a_space_of_another_kind(tmp_path):
    path = tmp_path / "t.conllu"
    path.write_text(ROW.replace("\tI\tI", "\t\u00a0\tI"), encoding="utf-8")
    assert [sentence.column(conllu.FORM) for sentence in conllu.read(path)] == [["\u00a0"]]


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        # Universal NER
        ("# sent_id = 1\n# text = a O\n1\tAnna\tB-PER\tB-PER#O\ts\n2\tsees\tO\tO\ts\n", [["Anna B-PER", "sees O"]]),
        ("1\t2\tO\t-\t-\n2\t1\tB-X\t-\t-\n", [["2 O", "1 B-X"]]),
        # separated by spaces, one or more; the token # and its tag are no comment
        ("# O\nBonn  B-LOC \n", [["# O", "Bonn B-LOC"]]),
        ("#\tO\n#tag\tO\n", [["# O", "#tag O"]]),
        # PAN-X has tokens that are a space of another kind
        ("\u00a0\tO\n\u3000\tO\n\n\u200b\tB-X\n", [["\u00a0 O", "\u3000 O"], ["\u200b B-X"]]),
        ("\u00a0 O\n", [["\u00a0 O"]]),
        ("-DOCSTART- -X- -X- O\n\nEU B-ORG\n\n-DOCSTART-\tO\n\nno\tO\n", [["EU B-ORG"], ["no O"]]),
        ("a\tO \r\n \t \nb\tI-X\n", [["a O"], ["b I-X"]]),
    ],
)
def test_tokens_and_tags_in_every_layout_that_corpora_use(tmp_path, content, sentences):
    path = tmp_path / "t.iob2"
    path.write_bytes(content.encode())
    found = list(columns.read(path))
    assert [[f"{token} {tag}" for token, tag in zip(s.tokens, s.tags)] for s in found] == sentences
    assert [s.number for s in found] == list(range(1, len(sentences) + 1))


def test_what_is_no_token_is_counted(tmp_path):
    path = tmp_path / "t.iob2"
    path.write_text("# text = a\n-DOCSTART- -X- -X- O\n\na\tO\n")
    (sentence,) = columns.read(path)
    assert (sentence.comments, sentence.documents, sentence.line, sentence.lines) == (1, 1, 4, [4])


@pytest.mark.parametrize(
    ("module", "first", "choice", "expected"),
    [
        (table, "label\ttext", "auto", True),
        (table, "Category\tUtterance", "auto", True),
        (table, "label\ttext", "no", False),
        (table, "good\tI like it", "auto", False),
        (table, "good\ttext", "auto", False),
        (table, "kind\twords", "yes", True),
        (nli, "premise\thypothesis\tlabel", "auto", True),
        (nli, "sentence1\tsentence2\tgold_label", "auto", True),
        (nli, "sentence1\tsentence2\tgold_label", "no", False),
        (nli, "a\tb\tneutral", "auto", False),
        (nli, "a\tb\tc", "yes", True),
    ],
)
def test_the_first_row_is_a_header_by_its_names_or_by_choice(tmp_path, module, first, choice, expected):
    path = tmp_path / "t.tsv"
    rest = "bad\tlabel" if module is table else "label\ttext\tlabel"
    path.write_text(f"{first}\n{rest}\n{first}\n")
    assert [example.header for example in module.read(path, choice)] == [expected, False, False]


@pytest.mark.parametrize(
    ("module", "first", "said"),
    [
        (table, "text\tlabel", "in the order text, label, not label, text"),
        (table, "Utterance\tIntent", "in the order Utterance, Intent, not Intent, Utterance"),
        (nli, "label\tpremise\thypothesis", "not premise, hypothesis, label"),
        (nli, "gold_label\tsentence1\tsentence2", "not sentence1, sentence2, gold_label"),
    ],
)
def test_columns_in_another_order_are_refused_and_read_if_asked_to(tmp_path, module, first, said):
    path = tmp_path / "t.tsv"
    path.write_text(f"{first}\n")
    with pytest.raises(UserError, match=said) as caught:
        list(module.read(path))
    assert caught.value.line == 1
    assert [example.header for example in module.read(path, "no")] == [False]
    assert [example.header for example in module.read(path, "yes")] == [True]


def test_what_was_taken_for_a_header_is_said_with_the_way_out():
    assert header.taken(["label", "text"]).startswith("the first row (label, text) was taken")
    assert "--header no" in header.taken(["label", "text"])


def test_csv_rows_come_with_their_lines_and_their_quotes_undone(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfen,de\r\n\r\n"a, ""b""",5" c\r\nlast,row')
    assert list(csv_table.read(path)) == [(1, ["en", "de"]), (3, ['a, "b"', '5" c']), (4, ["last", "row"])]
    with pytest.raises(UserError, match="two columns are named 'en'"):
        csv_table.check_names(["en", "de", "en"], path)


def test_fields_of_tables_may_be_very_long(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"{'x' * 200_000},y\n")
    assert [len(field) for _, row in csv_table.read(path) for field in row] == [200_000, 1]


def test_json_lines_are_told_by_their_first_line(tmp_path):
    path = tmp_path / "f"
    path.write_text('\n {"a": 1}\n')
    assert json_lines.is_json_lines(path) and list(json_lines.read(path)) == [(2, {"a": 1})]
    path.write_text("1\tI\n")
    assert not json_lines.is_json_lines(path)
