"""Entities from the original files of each corpus: layouts as their publishers document them, and whole files."""

import json
from collections import Counter
from pathlib import Path

import pytest
import seqeval.metrics

from fairseq_xalign.data.formats import columns
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.labelled import entities
from preprocess.__main__ import main as preprocess
from tests.support.public_data import public_files

# The example on the page of the CoNLL-2003 shared task (https://www.clips.uantwerpen.be/conll2003/ner/), in the layout
# of its English files: word, part of speech, chunk, entity (IOB1), separated by a space, after a line for a document.
CONLL_2003 = """-DOCSTART- -X- O O

U.N. NNP I-NP I-ORG
official NN I-NP O
Ekeus NNP I-NP I-PER
heads VBZ I-VP O
for IN I-PP O
Baghdad NNP I-NP I-LOC
. . O O
"""
# Made-up words in the layout of CoNLL-2002's Dutch files (its README: word, part of speech, IOB2 tag), in ISO-8859-1.
DUTCH = "-DOCSTART- -DOCSTART- O\nZoë N B-PER\nBrontë N I-PER\n# Punc O\n\nin Prep O\nBelgië N B-LOC\n"
CONLL_2002 = DUTCH.encode("iso-8859-1")
# Made-up words in the layout that XTREME's utils_preprocess.py reads: LANGUAGE:TOKEN, a tab, the tag.
PANX = "zh-min-nan:Ada\tB-PER\nzh-min-nan::\tO\nzh-min-nan:12:30\tO\n\nzh-min-nan:\u00a0\tO\n"
# The first sentences of data/yor/dev.txt of MasakhaNER (Adelani et al. 2021; text of Global Voices, CC BY 3.0).
MASAKHANER = "Àwòrán O\nláti O\nọwọ́ọ O\nFernando B-PER\nGomes I-PER\n, O\na O\ngba O\nàṣẹ O\nláti O\nlò O\nó O\n. O\n"
# A sentence of the Urdu training data of SSEA-2008, as cogcomp-nlp's SSFToColumnConverter.java documents it.
URDU = """<Sentence id="209">
0\t((\tSSF
5\tو
6\t((\tNP\t<ne=NEP>
6.1\t((\tNP\t<ne=NED>
6.1.1\tشہنشاہ
\t))
6.2\t((\tNP\t<ne=NEP>
6.2.1\tاکبر
\t))
\t))
7\tنے
8\t((\tNP\t<ne=NETI>
8.1\t۱۵۶۵
\t))
9\t؁ء
\t))
</Sentence>
"""
# The beginning of the Hindi sample of the same data in github.com/Pruthwik/NER-EXTRACTION-FROM-SSF-TO-CONLL (MIT), and
# two chunks of it with slips: a token ahead of its bracket, and types written <ne=/NEO=>.
HINDI = """<Story id="">
<Sentence id="">
0\t((\tSSF\t
1\t<\t\t
2\t((\tNP\t<ne=NETE>
2.1\tSocial\t\t
2.2\tSciences\t\t
\t))
29.1\tShukla\t\t
29\t((\tNP\t<ne=/NEO=>
29.1\tAadivasi\t\t
\t))
\t))
</Sentence>
</Story>
"""
FOLDERS = {
    "conll/eng.testa": (CONLL_2003.encode(), "valid.en", ["B-ORG O B-PER O O B-LOC O"]),
    "conll/ned.testb": (CONLL_2002, "test.nl", ["B-PER I-PER O", "O B-LOC"]),
    "panx/nan-train": (PANX.encode(), "train.nan", ["B-PER O O", "O"]),
    "wikiann/simple-x/../af/dev": (PANX.encode(), "valid.af", ["B-PER O O", "O"]),
    "masakhaner/yor/dev.txt": (MASAKHANER.encode(), "valid.yor", ["O O O B-PER I-PER O O O O O O O O"]),
    "ssea/test-data-urdu.txt": (URDU.encode(), "test.ur", ["O B-NEP I-NEP O B-NETI O"]),
    "ssea/train.hi.ssf": (HINDI.encode(), "train.hi", ["O B-NETE I-NETE O B-NEO"]),
}


def rows_of(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_every_corpus_is_found_by_its_own_names_and_becomes_iob2(tmp_path, capsys):
    for name, (content, _, _) in FOLDERS.items():
        path = (tmp_path / "in" / name.replace("simple-x/../", "")).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    arguments = ["benchmark", "ner", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--json"]
    assert preprocess(arguments) == 0
    changes = {name: counts["changes"] for name, counts in json.loads(capsys.readouterr().out).items()}
    for _, made, tags in FOLDERS.values():
        assert [" ".join(row["tags"]) for row in rows_of(tmp_path / "out", made)] == tags
    assert [row["tokens"] for row in rows_of(tmp_path / "out", "test.nl")] == [["Zoë", "Brontë", "#"], ["in", "België"]]
    assert [row["tokens"] for row in rows_of(tmp_path / "out", "train.nan")] == [["Ada", ":", "12:30"], ["\u00a0"]]
    assert changes == {
        "valid.en": {"-DOCSTART- lines skipped": 1, "I- tags that begin an entity, written B-": 3},
        "test.nl": {"file in ISO-8859-1 converted": 1, "-DOCSTART- lines skipped": 1},
        "test.ur": {"entities within entities left out": 2},
        "train.nan": {"tokens without the language ahead of them (en:)": 4},
        "valid.af": {"tokens without the language ahead of them (en:)": 4},
        **{name: {} for name in ("valid.yor", "train.hi")},
    }


def test_a_file_of_conll_that_was_converted_to_utf_8_is_read_as_such(tmp_path):
    path = tmp_path / "ned.train"
    path.write_text(CONLL_2002.decode("iso-8859-1"), encoding="utf-8")
    assert [sentence.tokens[0] for sentence in columns.read(path)] == ["Zoë", "in"]
    other = tmp_path / "test.nl.tsv"
    other.write_bytes(CONLL_2002)
    with pytest.raises(UserError, match=r"test\.nl\.tsv:2: invalid UTF-8 at byte 2"):
        list(columns.read(other))


def test_a_tag_without_a_token_is_left_out_and_counted(tmp_path):
    path = tmp_path / "train.txt"  # lines 44519 to 44521 of xho/train.txt of MasakhaNER 2.0
    path.write_text(", O\n O\nuNdila B-PER\n", encoding="utf-8")
    counts: Counter[str] = Counter()
    [row] = entities.rows(path, counts)
    assert row.row["tokens"] == [",", "uNdila"] and row.lines == (1, 3)
    assert counts["tags without a token skipped"] == 1


def test_a_prefix_that_not_every_token_has_is_part_of_the_token(tmp_path):
    path = tmp_path / "x"
    path.write_text("en:Ada\tB-PER\nde:Bonn\tB-LOC\n", encoding="utf-8")
    assert next(columns.read(path)).tokens == ["en:Ada", "de:Bonn"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<Story>\n<Sentence id='1'>\n0\t((\tSSF\n1\n", ":4: not a line of SSF: '1'"),
        ("<Sentence id='1'>\n0\t((\tSSF\nएक\tNN\n", ":3: not a line of SSF: 'एक"),
    ],
)
def test_a_line_that_is_not_of_the_format_is_named(tmp_path, content, said):
    path = tmp_path / "test-data-hindi.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as error:
        list(entities.rows(path, Counter()))
    assert f"{path}{said}" in str(error.value)


def test_brackets_that_do_not_close_are_counted(tmp_path):
    path = tmp_path / "x.ssf"
    path.write_text("<Sentence>\n1\t((\tNP\t<ne=NEL>\n1.1\tBonn\n<Sentence>\n\t))\n1\tund\n", encoding="utf-8")
    counts: Counter[str] = Counter()
    assert [row.row["tags"] for row in entities.rows(path, counts)] == [["B-NEL"], ["O"]]
    assert counts["entities closed by the end of their sentence"] == 1
    assert counts["closing brackets without an opening one skipped"] == 1


# Sentences and entities of each type, as the README of the data states them.
UNIVERSAL_NER = {
    "UNER_Danish-DDT/da_ddt-ud-train": (4383, {"PER": 1235, "LOC": 880, "ORG": 907}),
    "UNER_Danish-DDT/da_ddt-ud-dev": (564, None),
    "UNER_Danish-DDT/da_ddt-ud-test": (565, None),
    "UNER_English-EWT/en_ewt-ud-dev": (2001, None),
    "UNER_English-EWT/en_ewt-ud-test": (2077, None),
    "UNER_German-PUD/de_pud-ud-test": (1000, {"LOC": 429, "PER": 418, "ORG": 192}),
    "UNER_Portuguese-PUD/pt_pud-ud-test": (1000, {"LOC": 488, "PER": 413, "ORG": 198}),
    "UNER_Chinese-PUD/zh_pud-ud-test": (1000, {"LOC": 512, "PER": 473, "ORG": 154}),
}


@pytest.mark.parametrize("name", UNIVERSAL_NER)
def test_universal_ner_is_read_whole(name):
    sentences, expected = UNIVERSAL_NER[name]
    [path] = public_files(f"ner/{name}.iob2*")
    found = [row.row["tags"] for row in entities.answers(path, Counter(), gold=False)]
    counts: Counter[str] = Counter()
    repaired = [row.row["tags"] for row in entities.rows(path, counts)]
    begun = [sum(tag.startswith("B-") for tags in of for tag in tags) for of in (found, repaired)]
    assert len(found) == len(repaired) == sentences
    assert begun[1] - begun[0] == counts["I- tags that begin an entity, written B-"]
    types = Counter(tag[2:] for tags in found for tag in tags if tag.startswith("B-"))
    assert set(types) <= {"PER", "LOC", "ORG", "OTH"}
    if expected is not None:
        assert {name: types[name] for name in expected} == expected


def test_each_type_has_the_f1_of_seqevals_report_and_a_signature(tmp_path, capsys):
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O", "B-LOC"], ["O", "B-PER"]]
    guess = [["B-PER", "I-PER", "O", "B-ORG"], ["B-ORG", "O", "B-LOC"], ["O"]]
    file = tmp_path / "p.jsonl"
    lines = [{"id": str(n), "language": "da", "prediction": p, "gold": g} for n, (g, p) in enumerate(zip(gold, guess))]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    arguments = ["score", "--task", "ner", "--predictions", str(file), "--split", "test"]
    assert evaluate([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    filled = [tags + ["O"] * (len(truth) - len(tags)) for tags, truth in zip(guess, gold)]
    expected = seqeval.metrics.classification_report(gold, filled, output_dict=True)
    for name in ("LOC", "ORG", "PER"):
        assert report["parts"]["da"][f"chunk_f1_{name}"] == pytest.approx(100 * expected[name]["f1-score"])
        signature = report["signatures"]["da"][f"chunk_f1_{name}"]
        assert signature.startswith(f"chunk_f1_{name}|per:chunk|average:micro|mode:lenient|type:{name}|n:3|split:test")
    assert report["scores"]["da"]["chunk_f1"] == pytest.approx(100 * expected["micro avg"]["f1-score"])
    assert report["counts"]["da"]["missing"] == 1, "a sentence that was cut: its entity counts as missed"
    assert evaluate(arguments) == 0
    assert "chunk_f1_LOC  chunk_f1_ORG  chunk_f1_PER" in capsys.readouterr().out


# The tag set of SSEA-2008: http://ltrc.iiit.ac.in/ner-ssea-08/index.cgi?topic=3
TYPES = "NEP=PER,NEL=LOC,NEO=ORG,NETI=O"


def mapped(tmp_path, types, *files):
    arguments = ["benchmark", "ner", "--output", str(tmp_path / "out"), "--json"]
    arguments += [option for file in files for option in ("--input", file)]
    return preprocess([*arguments, "--map-types", types])


def test_types_of_entities_are_renamed_so_that_an_english_training_set_can_be_tested_on_them(tmp_path, capsys):
    (tmp_path / "u.ssf").write_text(URDU, encoding="utf-8")
    (tmp_path / "h.ssf").write_text(HINDI, encoding="utf-8")
    (tmp_path / "d.tsv").write_text("Ada\tB-PER\nin\tO\nBonn\tI-LOC\n", encoding="utf-8")
    files = [f"test.ur={tmp_path}/u.ssf", f"test.hi={tmp_path}/h.ssf", f"train.da={tmp_path}/d.tsv"]
    assert mapped(tmp_path, TYPES, *files) == 0
    out, error = capsys.readouterr()
    report = json.loads(out)
    assert [row["tags"] for row in rows_of(tmp_path / "out", "test.ur")] == [["O", "B-PER", "I-PER", "O", "O", "O"]]
    assert [row["tags"] for row in rows_of(tmp_path / "out", "test.hi")] == [["O", "B-NETE", "I-NETE", "O", "B-ORG"]]
    assert [row["tags"] for row in rows_of(tmp_path / "out", "train.da")] == [["B-PER", "O", "B-LOC"]]
    changes = report["test.ur"]["changes"]
    assert changes["entities of the type NEP renamed PER"] == 1
    assert changes["entities of the type NETI no longer marked as entities"] == 1
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())["labels"]
    assert labels == ["B-LOC", "B-NETE", "B-ORG", "B-PER", "I-NETE", "I-PER", "O"]
    assert error.count("--map-types") == 1 and "--map-types: no entity has the type NEL" in error


def test_a_renamed_entity_stays_apart_from_its_neighbour(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tB-NEP\nb\tB-NED\nc\tI-NED\n", encoding="utf-8")
    assert mapped(tmp_path, "NEP=PER,NED=PER", f"test.hi={tmp_path}/x.tsv") == 0
    assert [row["tags"] for row in rows_of(tmp_path / "out", "test.hi")] == [["B-PER", "B-PER", "I-PER"]]


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ("NEP", "--map-types 'NEP' is not of the form OLD=NEW"),
        ("NEP=", "--map-types 'NEP=' is not of the form OLD=NEW"),
        ("=PER", "--map-types '=PER' is not of the form OLD=NEW"),
        ("NEP=P ER", "--map-types 'NEP=P ER' is not of the form OLD=NEW"),
        ("NEP=PER=LOC", "--map-types 'NEP=PER=LOC' is not of the form OLD=NEW"),
        ("B-NEP=B-PER", "--map-types 'B-NEP=B-PER' names tags, not types. Write NEP=PER"),
        ("NEP=PER,NEP=LOC", "--map-types names NEP twice"),
        (" , ", "--map-types names no type"),
    ],
)
def test_types_that_cannot_be_renamed_are_refused(tmp_path, capsys, types, said):
    (tmp_path / "x.tsv").write_text("a\tB-NEP\n", encoding="utf-8")
    assert mapped(tmp_path, types, f"test.hi={tmp_path}/x.tsv") == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["pos", "classification", "nusax"])
def test_other_tasks_have_no_types(tmp_path, capsys, name):
    arguments = ["benchmark", name, "--from", str(tmp_path), "--output", str(tmp_path / "out")]
    assert preprocess([*arguments, "--map-types", "A=B"]) == 1
    assert f"--map-types: the labels of {name} have no types" in capsys.readouterr().err
