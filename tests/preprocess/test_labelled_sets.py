"""``xalign-preprocess benchmark``: labelled folders from treebanks and tables."""

import json
import lzma

import pytest

from fairseq_xalign.data.formats.conllu import OLDER_TAGS, UPOS_TAGS
from preprocess.__main__ import main
from preprocess.corpora import treebanks as treebanks_of_packages
from tests.support.samples import write_lines


def rows(*words):
    return [f"{n}\t{form}\t_\t{tag}\t_\t_\t0\t_\t_\t_" for n, (form, tag) in enumerate(words, 1)] + [""]


ENGLISH = ["# sent_id = e1", *rows(("I", "PRON"), ("run", "VERB")), *rows(("Stop", "VERB"))]
FRENCH = [f"1-2\tdu{chr(9)}_" + "\t_" * 7, *rows(("de", "ADP"), ("le", "_"), ("x", "NOUN"))]


@pytest.fixture
def treebanks(tmp_path):
    folder = tmp_path / "ud"
    (folder / "deep").mkdir(parents=True)
    write_lines(folder / "train.en.conllu", ENGLISH)
    write_lines(folder / "deep" / "en_ewt-ud-dev.conllu", ENGLISH)
    write_lines(folder / "README.conllu.txt", ["not a treebank"])
    (folder / "deep" / "fr_pud-ud-test.conllu.xz").write_bytes(lzma.compress("\n".join(FRENCH).encode()))
    return folder


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def benchmark(name, folder, output, *options):
    return main(["benchmark", name, "--from", str(folder), "--output", str(output), *options])


def test_treebanks_become_rows_of_tokens_and_tags(treebanks, tmp_path, capsys):
    output = tmp_path / "labelled"
    assert benchmark("pos", treebanks, output, "--json") == 0
    assert sorted(p.name for p in output.iterdir()) == [
        "labels.json",
        "test.fr.jsonl",
        "train.en.jsonl",
        "valid.en.jsonl",
    ]
    expected = [
        {"id": "e1", "tokens": ["I", "run"], "tags": ["PRON", "VERB"]},
        {"id": "2", "tokens": ["Stop"], "tags": ["VERB"]},
    ]
    assert read(output / "train.en.jsonl") == read(output / "valid.en.jsonl") == expected
    assert read(output / "test.fr.jsonl") == [{"id": "1", "tokens": ["de", "le", "x"], "tags": ["ADP", "X", "NOUN"]}]
    labels = json.loads((output / "labels.json").read_text())
    assert labels == {"format": 1, "task": "tagging", "labels": sorted(UPOS_TAGS), "name": "pos"}
    assert len(UPOS_TAGS) == 17
    report = json.loads(capsys.readouterr().out)
    assert report["train.en"] == {
        "examples": 2,
        "labels": 3,
        "source": "train.en.conllu",
        "changes": {},
        "by label": {"PRON": 1, "VERB": 2},
    }
    assert report["test.fr"]["changes"] == {"multiword ranges skipped": 1, "words without tag, taken for X": 1}


def test_files_whose_names_say_nothing_are_named_if_they_look_like_those_that_are_read(treebanks, tmp_path, capsys):
    assert benchmark("pos", treebanks, tmp_path / "one") == 0
    assert "passed over" not in capsys.readouterr().err
    for number in range(7):
        write_lines(treebanks / f"annotator{number}.conllu", ENGLISH)
    write_lines(treebanks / "LICENSE.conllu", ENGLISH)
    (treebanks / "deep" / "deutsch.conllu.xz").write_bytes(lzma.compress(b""))
    chosen = ["--input", f"test.en={treebanks / 'annotator1.conllu'}"]
    assert benchmark("pos", treebanks, tmp_path / "two", *chosen) == 0
    said = "names do not give a known split and a language: annotator0.conllu, annotator2.conllu, annotator3.conllu, "
    assert f"{said}annotator4.conllu, annotator5.conllu and 2 more" in capsys.readouterr().err


def test_a_malformed_treebank_is_named_with_its_line_and_the_old_folder_stays(treebanks, tmp_path, capsys):
    output = tmp_path / "labelled"
    assert benchmark("pos", treebanks, output) == 0
    before = {p.name: p.read_bytes() for p in output.iterdir()}
    write_lines(treebanks / "train.en.conllu", [*ENGLISH, "1\tbroken"])
    capsys.readouterr()
    assert benchmark("pos", treebanks, output) == 1
    assert f"{treebanks}/train.en.conllu:7: 2 columns instead of 10" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in output.iterdir()} == before
    assert not list(tmp_path.glob(".labelled*"))


@pytest.mark.parametrize(
    ("tag", "remedy"),
    [
        ("NOUNX", "Map it to one of UD's: ADJ, ADP, ADV, AUX, CCONJ, "),
        ("", "Map it to one of UD's"),
        ("noun", "UD calls it NOUN"),
        ("PRT", "UD calls it PART"),
        ("CONJ", "UD calls it CCONJ"),
        (".", "UD calls it PUNCT"),
    ],
)
def test_a_tag_that_is_not_uds_is_an_error_and_no_new_label(tmp_path, capsys, tag, remedy):
    treebank = write_lines(tmp_path / "test.fr.conllu", [*FRENCH, "# more", *rows(("a", "X"), ("b", tag))])
    assert benchmark("pos", tmp_path, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"{treebank}:8: unknown UPOS tag {tag!r}. {remedy}" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_treebank_without_any_tag_is_an_error(tmp_path, capsys):
    treebank = write_lines(tmp_path / "test.fr.conllu", [*rows(("a", "_"), ("b", "_")), *rows(("c", "_"))])
    assert benchmark("pos", tmp_path, tmp_path / "out") == 1
    assert f"{treebank}: none of its 3 words has a tag. Put UPOS tags" in capsys.readouterr().err


def test_the_treebanks_that_fetch_writes_have_uds_tags_only():
    assert {*treebanks_of_packages.TAGS} <= UPOS_TAGS and {*OLDER_TAGS.values()} <= UPOS_TAGS


def test_two_files_for_one_split_must_be_chosen_between(treebanks, tmp_path, capsys):
    rival = write_lines(treebanks / "en_pud-ud-dev.conllu", rows(("Rival", "NOUN")))
    assert benchmark("pos", treebanks, tmp_path / "labelled") == 1
    assert "are both files for valid.en. Choose one with --input valid.en=FILE" in capsys.readouterr().err
    assert benchmark("pos", treebanks, tmp_path / "labelled", "--input", f"valid.en={rival}") == 0
    assert read(tmp_path / "labelled" / "valid.en.jsonl")[0]["tokens"] == ["Rival"]


PARTS = {"c": "Cé", "l": "El", "m": "Em", "v": "Vé"}


def test_a_treebank_in_parts_is_read_whole_in_their_order(tmp_path, capsys):
    (tmp_path / "UD").mkdir()
    for part, word in PARTS.items():  # as UD 2.3 to 2.14 has Czech-PDT
        write_lines(tmp_path / "UD" / f"cs_pdt-ud-train-{part}.conllu", [f"# sent_id = {part}", *rows((word, "NOUN"))])
    for part in ("b-10", "b-2", "a-1"):  # as UD 2.4 and later have German-HDT
        write_lines(tmp_path / "UD" / f"de_hdt-ud-train-{part}.conllu", [f"# sent_id = {part}", *rows((part, "X"))])
    write_lines(tmp_path / "UD" / "de_hdt-ud-dev.conllu", rows(("dev", "X")))
    assert benchmark("pos", tmp_path / "UD", tmp_path / "out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["tokens"][0] for row in read(tmp_path / "out" / "train.cs.jsonl")] == list(PARTS.values())
    assert [row["tokens"][0] for row in read(tmp_path / "out" / "train.de.jsonl")] == ["a-1", "b-2", "b-10"]
    assert report["train.cs"]["source"] == "cs_pdt-ud-train-*.conllu" and report["train.cs"]["examples"] == 4
    assert report["valid.de"]["source"] == "de_hdt-ud-dev.conllu"


def test_a_fault_in_a_part_is_named_in_that_part(tmp_path, capsys):
    for part, tag in (("c", "NOUN"), ("l", "NOUNX")):
        write_lines(tmp_path / f"cs_pdt-ud-train-{part}.conllu", [f"# sent_id = {part}", *rows(("x", tag))])
    assert benchmark("pos", tmp_path, tmp_path / "out") == 1
    assert f"{tmp_path}/cs_pdt-ud-train-l.conllu:2: unknown UPOS tag" in capsys.readouterr().err
    write_lines(tmp_path / "cs_pdt-ud-train-l.conllu", ["# sent_id = c", *rows(("y", "NOUN"))])
    assert benchmark("pos", tmp_path, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"{tmp_path}/cs_pdt-ud-train-l.conllu:2: id 'c' is already that of " in error
    assert f"{tmp_path}/cs_pdt-ud-train-c.conllu:2. Give" in error


@pytest.mark.parametrize(
    "rival", ["cs_pdt-ud-train.conllu", "cs_cac-ud-train-a.conllu", "other/cs_pdt-ud-train-x.conllu"]
)
def test_parts_of_two_treebanks_are_not_mixed(tmp_path, capsys, rival):
    (tmp_path / "in" / "other").mkdir(parents=True)
    for part in PARTS:
        write_lines(tmp_path / "in" / f"cs_pdt-ud-train-{part}.conllu", rows(("x", "NOUN")))
    write_lines(tmp_path / "in" / rival, rows(("y", "NOUN")))
    assert benchmark("pos", tmp_path / "in", tmp_path / "out") == 1
    assert "are both files for train.cs. Choose one with --input train.cs=FILE" in capsys.readouterr().err


def test_files_can_be_named_without_a_folder(treebanks, tmp_path):
    place = f"test.en={treebanks}/train.en.conllu"
    assert main(["benchmark", "pos", "--input", place, "--output", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["labels.json", "test.en.jsonl"]


def test_tables_become_rows_of_text_and_label(tmp_path):
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "train.pt-BR.tsv", ["good\tI like it.", "", "bad\tI do not."])
    assert benchmark("classification", tmp_path / "in", tmp_path / "out") == 0
    assert read(tmp_path / "out" / "train.pt-BR.jsonl") == [
        {"id": "1", "text": "I like it.", "label": "good"},
        {"id": "3", "text": "I do not.", "label": "bad"},
    ]
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert labels == {"format": 1, "task": "classification", "labels": ["bad", "good"], "name": "classification"}


def test_repeated_examples_are_kept_and_counted(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "test.en.tsv", ["good\tfine", "bad\tfine", "good\tfine", "good\tfine"])
    assert benchmark("classification", tmp_path / "in", tmp_path / "out") == 0
    assert len(read(tmp_path / "out" / "test.en.jsonl")) == 4
    assert "2 examples that repeat an earlier one, kept" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["no tab", "\ttext", "label\t ", "a\tb\tc"])
def test_a_malformed_table_is_named_with_its_line(tmp_path, capsys, line):
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "test.en.tsv", ["good\tfine", line])
    assert benchmark("classification", tmp_path / "in", tmp_path / "out") == 1
    assert f"{tmp_path}/in/test.en.tsv:2: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pose", "--from", "."], "Did you mean 'pos'?"),
        (["pos"], "Give --from DIR or --input"),
        (["pos", "--from", "nowhere"], "nowhere: no such folder"),
        (["pos", "--from", "{file}"], "{file}: is a file, not a folder"),
        (["xnli", "--from", "{file}"], "{file}: is a file, not a folder"),
        (["pos", "--input", "en=x"], "not of the form SPLIT.LANG"),
        (["pos", "--input", "tset.en=x"], "Did you mean 'test'?"),
        (["pos", "--input", "test.en=missing.conllu"], "missing.conllu: No such file"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, capsys, arguments, message):
    file = write_lines(tmp_path / "file", ["text"])
    arguments = [argument.format(file=file) for argument in arguments]
    assert main(["benchmark", *arguments, "--output", str(tmp_path / "out")]) == 1
    assert message.format(file=file) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_treebanks_and_a_file_without_examples_are_errors(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert benchmark("pos", tmp_path / "in", tmp_path / "out") == 1
    assert "no file that pos reads" in capsys.readouterr().err
    write_lines(tmp_path / "in" / "test.en.conllu", ["# nothing"])
    assert benchmark("pos", tmp_path / "in", tmp_path / "out") == 1
    assert "test.en.conllu: no example in the file" in capsys.readouterr().err


def test_a_folder_of_something_else_is_not_replaced(treebanks, tmp_path, capsys):
    (tmp_path / "home").mkdir()
    write_lines(tmp_path / "home" / "thesis.tex", ["years of work"])
    assert benchmark("pos", treebanks, tmp_path / "home") == 1
    assert "is not a labelled folder" in capsys.readouterr().err
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_a_labelled_folder_that_holds_other_things_is_not_replaced(tmp_path, capsys):
    folder = tmp_path / "reviews"
    (folder / "raw").mkdir(parents=True)
    write_lines(folder / "raw" / "test.en.tsv", ["good\tFine."])
    assert benchmark("classification", folder / "raw", tmp_path / "other") == 0
    (folder / "labels.json").write_bytes((tmp_path / "other" / "labels.json").read_bytes())
    write_lines(folder / "notes.txt", ["mine"])
    assert benchmark("classification", folder / "raw", folder) == 1
    assert "holds other things too, which replacing it would remove: notes.txt, raw." in capsys.readouterr().err
    assert (folder / "raw" / "test.en.tsv").exists() and (folder / "notes.txt").exists()
    assert benchmark("classification", folder / "raw", tmp_path / "other") == 0  # of its own files alone: replaced


NER = ["# text = Ada", "Ada\tB-PER", "\u00a0\tO", "Love\tI-LOC", "Bonn\tI-LOC", "", "1\tJa\tO\t-\tx"]


def test_entities_become_rows_of_tokens_and_tags_and_iob1_is_repaired(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "train.en.tsv", NER)
    write_lines(tmp_path / "in" / "en_ewt-ud-dev.iob2", NER[1:2])
    assert benchmark("ner", tmp_path / "in", tmp_path / "out", "--json") == 0
    assert read(tmp_path / "out" / "train.en.jsonl") == [
        {"id": "1", "tokens": ["Ada", "\u00a0", "Love", "Bonn"], "tags": ["B-PER", "O", "B-LOC", "I-LOC"]},
        {"id": "2", "tokens": ["Ja"], "tags": ["O"]},
    ]
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert labels == {"format": 1, "task": "tagging", "labels": ["B-LOC", "B-PER", "I-LOC", "O"], "name": "ner"}
    changes = json.loads(capsys.readouterr().out)["train.en"]["changes"]
    assert changes == {"comments skipped": 1, "I- tags that begin an entity, written B-": 1}


@pytest.mark.parametrize(
    ("name", "suffix", "lines", "said"),
    [
        (
            "pos",
            "conllu",
            ["# sent_id = a", *rows(("x", "X")), "# sent_id = a", *rows(("y", "X"))],
            ":5: id 'a' is already that of line 2. Give each example an id of its own",
        ),
        ("pos", "conllu", ["# sent_id = 2", *rows(("x", "X")), *rows(("y", "X"))], ":4: id '2' is already"),
        ("ner", "tsv", ["a\tO", "b\tNOUN"], ":2: tag 'NOUN' is not an IOB2 tag"),
        ("ner", "tsv", ["a\tO", "b\t"], ":2: tag '' is not an IOB2 tag"),
    ],
)
def test_what_score_would_refuse_is_refused_where_it_enters(tmp_path, capsys, name, suffix, lines, said):
    (tmp_path / "in").mkdir()
    file = write_lines(tmp_path / "in" / f"test.en.{suffix}", lines)
    assert benchmark(name, tmp_path / "in", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert f"{file}{said}" in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_row_that_names_the_columns_is_said_to_be_one_and_an_option_decides(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_lines(tmp_path / "in" / "test.en.tsv", ["label\ttext", "good\tfine"])
    assert benchmark("classification", tmp_path / "in", tmp_path / "out") == 0
    assert [row["label"] for row in read(tmp_path / "out" / "test.en.jsonl")] == ["good"]
    assert "test.en.tsv: the first row (label, text) was taken" in capsys.readouterr().err
    assert benchmark("classification", tmp_path / "in", tmp_path / "out", "--header", "no") == 0
    assert [row["label"] for row in read(tmp_path / "out" / "test.en.jsonl")] == ["label", "good"]


@pytest.mark.parametrize("name", ["pos", "ner", "classification"])
def test_help_lists_the_file_names_of_every_task(capsys, name):
    from fairseq_xalign.labelled.registry import TASKS

    with pytest.raises(SystemExit):
        main(["benchmark", "--help"])
    assert TASKS[name].files in " ".join(capsys.readouterr().out.split())
