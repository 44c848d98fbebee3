"""Published sets of questions, read from files in their true form.

The records are originals: XQuAD (Artetxe et al. 2020; CC BY-SA 4.0) and JaQuAD (So et al. 2022; CC BY-SA 3.0). SQuAD,
its translations and MLQA have the same form (SQuAD v1.1) under the names that their publishers document; where such a
file stands here, its records are XQuAD's, which are translations of SQuAD's and have its ids.
"""

import json

import pytest

from fairseq_xalign.labelled.folder import LabelledFolder
from preprocess.__main__ import main as preprocess
from preprocess.corpora.labelled import SOURCES
from preprocess.labelled_sets import benchmark
from preprocess.sets import SETS
from tests.support.public_data import public_files

ENGLISH = (
    "A piece of paper was later found on which Luther had written his last statement. The statement was in Latin, "
    'apart from "We are beggars," which was in German.',
    [
        ("56f8ca289b226e1400dd1007", "What was later discovered written by Luther?", "his last statement", 61),
        ("56f8ca289b226e1400dd1008", "In what language was most of the statement written? ", "Latin", 102),
    ],
)
GERMAN = (
    "Seine religiösen Ansichten bleiben aufgrund einiger anderer Aussagen jedoch ungewiss. In seinem Artikel „A "
    "Machine to End War“, der 1937 veröffentlicht wurde, sagte Tesla beispielsweise:",
    [
        ("56e1254ae3433e1400422c66", "Welcher Artikel wurde 1937 veröffentlicht?", "„A Machine to End War“", 104),
        (
            "56e1254ae3433e1400422c67",
            "Wie lauten aufgrund bestimmter Aussagen seine religiösen Ansichten?",
            "ungewiss",
            76,
        ),
    ],
)
JAPANESE = (
    "松阪図書館のアクセスは、JR東海紀勢本線・近鉄山田線松阪駅より徒歩約25分。\n"
    "三重交通路線バス「文化会館」停留所下車、徒歩約1分。",
    [("de-027-15-001", "JR東海紀勢本線松阪駅から松坂図書館までは歩いてどれくらいかかりますか?", "約25分", 33)],
)


def document(context, questions, **more):
    """A document of SQuAD v1.1 with one paragraph."""
    qas = [{"answers": [{"answer_start": start, "text": text, **more}], "id": name, "question": asked}
           for name, asked, text, start in questions]  # fmt: skip
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}], "title": "t"}], "version": "1.1"})


def made(name, root, files):
    for file, text in files.items():
        (root / "files" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "files" / file).write_text(text, "utf-8")
    report, labels = benchmark(name, root / "QA", folder=root / "files")
    assert labels == ["answer"]
    return report, LabelledFolder.open(root / "QA")


def test_every_set_is_read_under_the_names_of_its_publisher(tmp_path):
    english, german = document(*ENGLISH), document(*GERMAN)
    japanese = document(*JAPANESE, answer_type="Date/Time")
    translated, mlqa = "de_squad-translate-train", "MLQA_V1/test/test-context-de-question"
    cases = {
        "xquad": ({"xquad.en.json": english, "xquad.de.json": german}, "test.en test.de"),
        "squad": ({"train-v1.1.json": english, "dev-v1.1.json": english}, "train.en valid.en"),
        "squad-xtreme": (
            {"squad.translate.train.en-de.json": german, "train-v1.1.json": english},
            "train.de train.en",
        ),
        "squad-mlqa": (
            {f"{translated}-train-v1.1.json": german, f"{translated}-dev-v1.1.json": german, "dev-v1.1.json": english},
            "train.de valid.de valid.en",
        ),
        "mlqa": (
            {f"{mlqa}-de.json": german, f"{mlqa}-en.json": german, "dev-context-en-question-en.json": english},
            "test.de test.de-en valid.en",
        ),
        "jaquad": (
            {"train/jaquad_train_0000.json": japanese, "dev/jaquad_dev_0000.json": japanese},
            "train.ja valid.ja",
        ),
        "arcd": ({"arcd-train.json": english, "arcd-test.json": english}, "train.ar test.ar"),
    }
    assert set(cases) == {name for name, known in SETS.items() if known.task == "qa"}
    for name, (files, places) in cases.items():
        report, folder = made(name, tmp_path / name, files)
        assert set(report) == set(places.split()) and all(counts["changes"] == {} for counts in report.values())
        assert all(
            row["answers"][0]["text"] for place in places.split() for row in folder.rows(*place.split(".", 1), True)
        )


def test_files_of_one_split_are_read_together_and_repeated_ids_are_an_error(tmp_path, capsys):
    other = (JAPANESE[0], [("de-027-15-000", *JAPANESE[1][0][1:])])
    files = {"train/jaquad_train_0000.json": document(*JAPANESE), "train/jaquad_train_0001.json": document(*other)}
    report, folder = made("jaquad", tmp_path, files)
    assert report["train.ja"]["examples"] == 2 and len(list(folder.rows("train", "ja"))) == 2
    (tmp_path / "files" / "train" / "jaquad_train_0002.json").write_text(document(*other), "utf-8")
    assert preprocess(["benchmark", "jaquad", "--from", str(tmp_path / "files"), "--output", str(tmp_path / "x")]) == 1
    assert "'de-027-15-000' is already" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_question_is_named_by_its_file_and_its_id(tmp_path, capsys):
    context, (first, second) = JAPANESE[0], (JAPANESE[1][0], ("de-027-15-002", " ", "約25分", 33))
    files = {
        "jaquad_train_0000.json": document(context, [first]),
        "jaquad_train_0001.json": document(context, [second]),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert preprocess(["benchmark", "jaquad", "--from", str(tmp_path), "--output", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path}/jaquad_train_0001.json: the question 'de-027-15-002': an empty question. Write" in error
    repeated = document(context, [first])
    (tmp_path / "jaquad_train_0001.json").write_text(repeated, "utf-8")
    assert preprocess(["benchmark", "jaquad", "--from", str(tmp_path), "--output", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path}/jaquad_train_0001.json: the question 'de-027-15-001': id 'de-027-15-001' is already" in error
    assert f"that of {tmp_path}/jaquad_train_0000.json. Give" in error


def test_a_question_of_a_users_own_file_is_named_by_its_id(tmp_path, capsys):
    context, (first, second) = GERMAN
    (tmp_path / "test.de.json").write_text(document(context, [first, (second[0], "", *second[2:])]), "utf-8")
    assert preprocess(["benchmark", "qa", "--from", str(tmp_path), "--output", str(tmp_path / "x")]) == 1
    assert f"test.de.json: the question {second[0]!r}: an empty question" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("squad-xtreme", "squad.translate.train.en-de.json"),
        ("squad-mlqa", "de_squad-translate-train-train-v1.1.json"),
    ],
)
def test_that_translated_questions_have_no_original_to_be_joined_with_is_said(name, file, tmp_path, capsys):
    nothing = "nothing to join with: train-v1.1.json is not there"
    made(name, tmp_path, {file: document(*GERMAN), "dev-v1.1.json": document(*ENGLISH)})
    assert nothing in capsys.readouterr().err
    made(name, tmp_path, {"train-v1.1.json": document(*ENGLISH)})
    assert nothing not in capsys.readouterr().err


def test_answers_of_a_translation_that_moved_are_counted(tmp_path):
    context, (first, second) = GERMAN
    moved = [(*first[:3], 3), (*second[:2], "nicht da", 0)]
    report, folder = made("xquad", tmp_path, {"xquad.de.json": document(context, moved)})
    assert [row["answers"][0]["answer_start"] for row in folder.rows("test", "de")] == [104, None]
    assert list(report["test.de"]["changes"].values()) == [1, 1]


# What the sources state: data/README.md of XALIGN_DATA.
WHOLE = {
    "xquad": ("qa/xquad/xquad.*", {f"test.{x}": 1190 for x in "ar de en es hi ro ru tr zh".split()}),
    "jaquad": ("qa/jaquad/*/*", {"train.ja": 11055, "valid.ja": 3939}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_sets_have_the_counts_that_their_sources_state(name, tmp_path):
    pattern, counts = WHOLE[name]
    folder = public_files(pattern)[0].parents[name == "jaquad"]
    report, _ = benchmark(name, tmp_path / "QA", folder=folder)
    assert {place: found["examples"] for place, found in report.items()} == counts
    for found in report.values():  # every answer has its place
        assert found["labels"] >= found["examples"]
        assert set(found["changes"]) <= {"examples that repeat an earlier one, kept"}


def test_fetched_files_are_those_that_benchmark_reads():
    from preprocess.corpora.catalogue import CORPORA

    for name in ("squad", "xquad", "jaquad", "arcd"):
        archives = CORPORA[name].archives
        assert archives and SOURCES[name].kind == "qa" and SETS[name].licence in SOURCES[name].licence
        assert all(archive.url.endswith(archive.file) and "//" not in archive.url[8:] for archive in archives)
    assert len(CORPORA["jaquad"].archives) == 34 and len(CORPORA["xquad"].archives) == 12
