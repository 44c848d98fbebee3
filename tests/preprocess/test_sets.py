"""Published labelled sets, read from files in their true form: original records, or rows under documented columns.

The first records here are originals, with their licences: CAD-NLI (Kaushik et al. 2020, Apache-2.0), AmericasNLI
(Ebrahimi et al. 2022, CC BY-SA 4.0), SIB-200 (Adelani et al. 2024, Apache-2.0), NusaX (Winata et al. 2023, CC BY-SA
4.0), AfriSenti (Muhammad et al. 2023, CC BY 4.0) and xSID (van der Goot et al. 2021, CC BY-SA 4.0). Sets whose files
are not at hand have the columns that their publishers document, filled with other texts: these rows are not of them.
"""

import json

import pytest

from fairseq_xalign.labelled.folder import LabelledFolder
from preprocess.__main__ import main as preprocess
from preprocess.labelled_sets import benchmark
from preprocess.sets import SETS
from tests.support.public_data import public_files

CAD = """sentence1\tsentence2\tgold_label
The little boy in jean shorts kicks the soccer ball.\tA little boy is playing soccer outside.\tneutral
The little boy in jean shorts kicks the soccer ball.\tA little boy is playing soccer.\tentailment
The little boy in jean shorts kicks the soccer ball.\tA little boy is playing cricket.\tcontradiction
"""
PAIRS = [tuple(line.split("\t")) for line in CAD.splitlines()[1:]]
AYMARA = """id\tlanguage\tpremise\thypothesis\tlabel
12451\taym\tJupax sanwa: Mamita, utankastwa.\tYatiñ utan awtux jaytawayki ukxpachaw mamaytapar jawsanxa.\tneutral
12452\taym\tJupax sanwa: Mamita, utankastwa.\tJupax janiw mä ars arskänti\tcontradiction
"""
SIB = """index_id\tcategory\ttext
1523\tscience/technology\tMutation sorgt für neue genetische Variationen und Selektion entfernt diese aus dem Pool \
exprimierter Variationen.
"""
NUSAX = """id,text,label
729,"Yeah that's right, he's looking after the store now",neutral
356,"Ido na mambahen jut rohangku. ndang hasalahan ni na mangalului karejoon alai jelas 100 % hasalaan ni angka \
pimpinan so binoto boha cara nasida mangatur on. Sogo hian rohangku disi nang pe on masa tu donganku na di lampung.
",negative
"""
XSID = """# id = 1
# text-en = show all reminders
# text = Zeige alle Erinnerungen
# intent = reminder/show_reminders
1\tZeige\treminder/show_reminders\tO
2\talle\treminder/show_reminders\tB-reference
3\tErinnerungen\treminder/show_reminders\tO

# id = 2
# text-en = Do I need a sweater?
# text = Benötige ich einen Pullover?
# intent = weather/find
1\tBenötige\tweather/find\tO
2\tich\tweather/find\tO
3\teinen\tweather/find\tO
4\tPullover\tweather/find\tB-weather/attribute
5\t?\tweather/find\tO
"""


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, "utf-8")


def made(name, root, **options):
    """The counts of a set's folder, and its rows by ``split.lang``."""
    report, _ = benchmark(name, root / "L", folder=root / "in", **options)
    rows = {
        f.stem: [json.loads(line) for line in f.read_text("utf-8").splitlines()] for f in (root / "L").glob("*.jsonl")
    }
    folder = LabelledFolder.open(root / "L")
    assert folder.kind.name == SETS[name].task and json.loads((root / "L" / "labels.json").read_text())["set"] == name
    return report, rows


def test_cad_nli_takes_originals_with_their_revisions(tmp_path):
    write(tmp_path, "in/all_combined/train.tsv", CAD)
    write(tmp_path, "in/original/train.tsv", CAD.replace("soccer", "football"))
    _, rows = made("cad-nli", tmp_path)
    assert [(row["text"], row["text_pair"], row["label"]) for row in rows["train.en"]] == PAIRS
    write(tmp_path, "in/kor/xnli.dev.ko.tsv", CAD)
    assert made("kornli", tmp_path)[1].keys() == {"valid.ko"}


def test_americas_nli_has_ids_of_xnli_and_refuses_another_language(tmp_path, capsys):
    write(tmp_path, "in/dev/aym.tsv", AYMARA)
    _, rows = made("americasnli", tmp_path)
    assert [row["id"] for row in rows["valid.aym"]] == ["12451", "12452"]
    assert rows["valid.aym"][1]["text_pair"] == "Jupax janiw mä ars arskänti"
    write(tmp_path, "in/test/gn.tsv", AYMARA)
    arguments = ["benchmark", "americasnli", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    assert preprocess(arguments) == 1
    assert "gn.tsv:2: language 'aym', not 'gn'" in capsys.readouterr().err and not (tmp_path / "M").exists()


def test_indonli_tells_lay_and_expert_tests_apart_and_keeps_examples_with_equal_ids(tmp_path):
    line = json.dumps({"pair_id": 1, "premise": PAIRS[0][0], "hypothesis": PAIRS[0][1], "label": "n"})
    write(tmp_path, "in/test_lay.jsonl", line + "\n" + line.replace('"n"', '"e"') + "\n")
    write(tmp_path, "in/test_expert.jsonl", line + "\n")
    write(tmp_path, "in/diagnostic.jsonl", f"[{line}]\n")
    report, rows = made("indonli", tmp_path)
    assert [(row["id"], row["label"]) for row in rows["test.id"]] == [("1", "neutral"), ("1:2", "entailment")]
    assert rows.keys() == {"test.id", "test.id-expert", "test.id-diagnostic"}
    assert report["test.id"]["changes"] == {"ids that an earlier example has, told apart by their line": 1}


# The columns of xnli.dev.tsv: README of XNLI-1.0.zip.
XNLI_COLUMNS = (
    "language gold_label sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse sentence1 "
    "sentence2 promptID pairID genre label1 label2 label3 label4 label5 sentence1_tokenized sentence2_tokenized match"
).split()


def xnli_line(language, name, pair):
    known = {"language": language, "gold_label": pair[2], "sentence1": pair[0], "sentence2": pair[1], "pairID": name}
    return "\t".join(known.get(column, "") for column in XNLI_COLUMNS)


def test_xnli_has_a_part_per_language_and_training_sets_that_stay_parallel(tmp_path):
    lines = [xnli_line(language, str(i), pair) for language in ("en", "de") for i, pair in enumerate(PAIRS)]
    languages = "ar bg el es fr hi ru sw th tr ur vi zh".split()
    lines += [xnli_line(language, "0", PAIRS[0]) for language in languages]
    write(tmp_path, "in/XNLI-1.0/xnli.dev.tsv", "\n".join(["\t".join(XNLI_COLUMNS), *lines]) + "\n")
    # premise, hypo, label; "contradictory" for contradiction: README of XNLI-MT-1.0.zip
    name = {"contradiction": "contradictory"}
    training = [f"{a}\t{b}\t{name.get(c, c)}" for a, b, c in PAIRS]
    write(tmp_path, "in/multinli/multinli.train.en.tsv", "\n".join(["premise\thypo\tlabel", *training]) + "\n")
    broken = [training[0], "only one column", training[2].replace("contradictory", "neutral")]
    write(tmp_path, "in/multinli/multinli.train.de.tsv", "\n".join(["premise\thypo\tlabel", *broken]) + "\n")
    report, rows = made("xnli", tmp_path)
    assert [row["id"] for row in rows["valid.de"]] == ["0", "1", "2"] and len(rows["valid.sw"]) == 1
    assert [(row["id"], row["label"]) for row in rows["train.en"]] == [
        ("2", "neutral"), ("3", "entailment"), ("4", "contradiction")]  # fmt: skip
    assert [row["id"] for row in rows["train.de"]] == ["2"]
    assert report["train.de"]["changes"] == {
        "lines left out without 3 columns": 1,
        "lines left out that do not match the English line of the same number": 1,
    }


def xnli_file(root, name, *lines):
    write(root, name, "\n".join(["\t".join(XNLI_COLUMNS), *lines]) + "\n")


@pytest.mark.parametrize("language", ["zh-CN", "pt"])
def test_no_row_of_xnli_is_skipped_for_its_language(tmp_path, capsys, language):
    xnli_file(tmp_path, "in/xnli.dev.tsv", xnli_line("en", "0", PAIRS[0]), xnli_line(language, "1", PAIRS[1]))
    assert preprocess(["benchmark", "xnli", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]) == 1
    said = capsys.readouterr().err
    assert f"xnli.dev.tsv:3: unknown language '{language}'. XNLI has ar, bg" in said and "benchmark pairs" in said
    assert not (tmp_path / "M").exists()


def test_a_file_of_several_parts_may_have_one_of_them_alone_and_the_others_are_named(tmp_path, capsys):
    xnli_file(tmp_path, "in/xnli.test.tsv", xnli_line("de", "0", PAIRS[0]))
    report, rows = made("xnli", tmp_path)
    assert report.keys() == rows.keys() == {"test.de"}
    said = capsys.readouterr().err
    assert "xnli.test.tsv: no example in the file for test.ar, test.bg, test.el, test.en, test.es and 9 more" in said
    write(tmp_path, "in/de-DE.jsonl", json.dumps({"id": "1", "partition": "dev", "utt": "a", "intent": "x"}) + "\n")
    report, rows = made("massive", tmp_path)
    assert report.keys() == rows.keys() == {"valid.de"}
    assert "de-DE.jsonl: no example in the file for test.de, train.de" in capsys.readouterr().err


def test_a_file_of_which_everything_is_left_out_is_refused_with_the_reasons(tmp_path, capsys):
    def refused(name, *options):
        arguments = ["benchmark", name, "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M"), *options]
        assert preprocess(arguments) == 1 and not (tmp_path / "M").exists()
        return capsys.readouterr().err

    write(tmp_path, "in/twitter-2013train-A.txt", "1\tneutral\ta b\n2\tneutral\tc d\n")
    write(tmp_path, "in/SemEval2017-task4-test.subtask-A.english.txt", "9\tpositive\tc\n")
    reasons = "no example in the file for train.en; 2 examples with the label neutral left out"
    assert f"twitter-2013train-A.txt: {reasons}. Give it examples" in refused("semeval2017")
    xnli_file(tmp_path, "in/xnli.dev.tsv", *(xnli_line(language, "0", PAIRS[0]) for language in ("en", "de")))
    said = refused("xnli", "--drop", "neutral")
    assert "xnli.dev.tsv: no example in the file for valid.ar, valid.bg" in said
    assert "and 10 more; 2 examples with the label neutral left out. " in said
    xnli_file(tmp_path, "in/xnli.dev.tsv")
    assert "and 10 more. Give it examples, or remove it" in refused("xnli")


def test_that_translations_have_no_original_to_compare_with_is_said(tmp_path, capsys):
    rows = "premise\thypo\tlabel\n" + "\t".join(PAIRS[0]) + "\n"
    write(tmp_path, "in/multinli.train.sw.tsv", rows)
    made("xnli", tmp_path)
    nothing = "nothing to compare with: neither multinli.train.en.tsv nor multinli_1.0_train.jsonl is there"
    assert nothing in capsys.readouterr().err
    write(tmp_path, "in/multinli.train.en.tsv", rows)
    made("xnli", tmp_path)
    assert nothing not in capsys.readouterr().err


def test_translations_of_multinli_stay_parallel_with_its_own_file_too(tmp_path):
    rows = [{"sentence1": a, "sentence2": b, "gold_label": c, "pairID": str(i)} for i, (a, b, c) in enumerate(PAIRS)]
    write(tmp_path, "in/multinli_1.0_train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    name = {"contradiction": "contradictory"}
    training = [f"{a}\t{b}\t{name.get(c, c)}" for a, b, c in (PAIRS[0], PAIRS[2])]
    write(tmp_path, "in/multinli.train.sw.tsv", "\n".join(["premise\thypo\tlabel", *training]) + "\n")
    report, found = made("xnli", tmp_path)
    assert [row["id"] for row in found["train.en"]] == ["2", "3", "4"] and len(found["train.sw"]) == 1
    assert found["train.sw"][0]["id"] == "2" and found["train.sw"][0]["label"] == found["train.en"][0]["label"]
    assert report["train.sw"]["changes"] == {
        "lines left out that do not match the English line of the same number": 1,
        "English lines without a translation": 1,
    }


def test_multinli_leaves_examples_without_a_gold_label_out(tmp_path):
    # keys of multinli_1.0_train.jsonl: README of multinli_1.0.zip
    rows = [{"sentence1": a, "sentence2": b, "gold_label": c, "pairID": str(i)} for i, (a, b, c) in enumerate(PAIRS)]
    rows[0]["gold_label"] = "-"
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write(tmp_path, "in/multinli_1.0_train.jsonl", text)
    write(tmp_path, "in/multinli_1.0_dev_matched.jsonl", text)
    report, found = made("multinli", tmp_path)
    assert found.keys() == {"train.en", "valid.en"} and [row["id"] for row in found["train.en"]] == ["1", "2"]
    assert report["train.en"]["changes"] == {"examples without a gold label left out": 1}


def test_paws_x_trains_on_nothing_that_translators_did_not_translate(tmp_path):
    # columns of PAWS-X: https://github.com/google-research-datasets/paws/tree/master/pawsx
    head = "id\tsentence1\tsentence2\tlabel\n"
    write(tmp_path, "in/x-final/de/translated_train.tsv", f"{head}1\ta\tb\t0\n2\tc\t\t1\n3\tNS\td\t1\n")
    write(tmp_path, "in/x-final/de/test_2k.tsv", f"{head}1\ta\tb\t1\n2\tNS\tc\t0\n3\tc\t\t1\n")
    write(tmp_path, "in/x-final/de/dev_2k.tsv", f"{head}1\ta\tNS \t0\n")
    report, rows = made("paws-x", tmp_path)
    assert [row["label"] for row in rows["train.de"]] == ["different"]
    assert [row["id"] for row in rows["test.de"]] == ["1", "2", "3"], "a score is over all of a test set"
    assert len(rows["valid.de"]) == 1
    marked = "pairs that the translators marked NS"
    assert report["test.de"]["changes"] == {f"{marked}, kept": 1, "examples with an empty text, kept": 1}
    assert report["valid.de"]["changes"] == {f"{marked}, kept": 1}
    assert report["train.de"]["changes"] == {f"{marked}, left out": 1, "examples with an empty text, left out": 1}


def test_sib_200_and_nusax_are_read_with_their_names_of_languages(tmp_path):
    write(tmp_path, "in/deu_Latn/test.tsv", SIB)
    _, rows = made("sib-200", tmp_path)
    assert rows["test.deu_Latn"][0]["id"] == "1523" and rows["test.deu_Latn"][0]["label"] == "science/technology"
    write(tmp_path, "in/toba_batak/test.csv", NUSAX)
    _, rows = made("nusax", tmp_path)
    texts = [row["text"] for row in rows["test.bbc"]]
    assert texts[0] == "Yeah that's right, he's looking after the store now" and "\n" not in texts[1]
    report, rows = made("nusax", tmp_path, dropped=["neutral"])
    assert len(rows["test.bbc"]) == 1
    assert report["test.bbc"]["changes"] == {"examples with the label neutral left out": 1}


def test_afrisenti_has_names_of_files_with_and_without_the_language(tmp_path):
    rows = "ID\ttweet\tlabel\nkr_test_00004\t@user @user Aha niho bita ku kirenge ra?\tneutral\n"
    for name in ("kin/kin_test.tsv", "yor/train.tsv"):
        write(tmp_path, f"in/data/{name}", rows)
    _, found = made("afrisenti", tmp_path)
    assert found.keys() == {"test.kin", "train.yor"} and found["test.kin"][0]["label"] == "neutral"


def test_intents_of_xsid_schuster_and_massive(tmp_path):
    write(tmp_path, "in/de.test.conll", XSID)
    _, rows = made("xsid", tmp_path)
    assert rows["test.de"] == [
        {"id": "1", "text": "Zeige alle Erinnerungen", "label": "reminder/show_reminders"},
        {"id": "2", "text": "Benötige ich einen Pullover?", "label": "weather/find"},
    ]
    # intent, slots, utterance, locale, tokens: README of the archive of Schuster et al. (2019)
    write(tmp_path, "in/es/eval-es.tsv", 'alarm/set_alarm\t\ta b\tes_XX\t{"tokens":["a","b"]}\n')
    _, rows = made("schuster", tmp_path)
    assert rows == {"valid.es": [{"id": "1", "text": "a b", "label": "alarm/set_alarm"}]}
    # keys of MASSIVE: README of https://github.com/alexa/massive
    lines = [
        {"id": str(i), "partition": p, "utt": "a b", "intent": "x"} for i, p in enumerate(("train", "dev", "test"))
    ]
    for locale in ("en-US", "zh-CN", "zh-TW"):
        write(tmp_path, f"in/{locale}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    _, rows = made("massive", tmp_path)
    assert {"train.en", "valid.zh-CN", "test.zh-TW"} <= rows.keys() and len(rows) == 9
    write(tmp_path, "in/fetched/train.en.tsv", "HassTurnOn\tturn on the lights\n")
    assert made("home-assistant-intents", tmp_path)[1]["train.en"][0]["label"] == "HassTurnOn"


@pytest.mark.parametrize("ending", ["th_TH", "th"])  # the archive's own names have the country
def test_thai_of_schuster_is_read_under_the_names_of_its_archive(tmp_path, ending):
    line = 'weather/find\t\ta b\tth_TH\t{"tokens":["a","b"]}\n'
    for name in ("train", "eval", "test"):
        write(tmp_path, f"in/multilingual_task_oriented_dialog_slotfilling/th/{name}-{ending}.tsv", line)
    _, rows = made("schuster", tmp_path)
    assert rows.keys() == {"train.th", "valid.th", "test.th"}
    assert "th/train-th_TH.tsv" in SETS["schuster"].files


def test_semeval_names_the_file_of_the_year_that_is_wrong(tmp_path, capsys):
    write(tmp_path, "in/twitter-2013train-A.txt", "1\tpositive\ta b\n")
    write(tmp_path, "in/twitter-2016train-A.txt", "2\tgood\tc d\n")
    arguments = ["benchmark", "semeval2017", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    assert preprocess(arguments) == 1
    assert "twitter-2016train-A.txt:1: unknown label 'good'. semeval2017 has" in capsys.readouterr().err


def test_an_example_of_xsid_is_named_by_the_line_where_it_begins(tmp_path, capsys):
    write(tmp_path, "in/de.test.conll", XSID.replace("# intent = weather/find\n", ""))
    arguments = ["benchmark", "xsid", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    assert preprocess(arguments) == 1
    assert "de.test.conll:9: the example that begins here has no comment # intent =" in capsys.readouterr().err


def test_semeval_joins_its_years_without_neutral_posts(tmp_path):
    # id, label, text, without a row of names: https://alt.qcri.org/semeval2017/task4/
    write(tmp_path, "in/twitter-2013train-A.txt", "1\tpositive\ta b\n2\tneutral\tc d\n")
    write(tmp_path, "in/twitter-2016train-A.txt", "1\tpositive\ta b\n3\tnegative\te f\t\n")
    write(tmp_path, "in/SemEval2017-task4-test.subtask-A.english.txt", "9\tneutral\tc\n8\tpositive\td\n")
    report, rows = made("semeval2017", tmp_path)
    assert [row["id"] for row in rows["train.en"]] == ["1", "3"] and [row["id"] for row in rows["test.en"]] == ["8"]
    assert report["train.en"]["changes"] == {
        "examples with the label neutral left out": 1,
        "posts that an earlier line has, left out": 1,
    }
    assert len(made("semeval2017", tmp_path, dropped=[])[1]["test.en"]) == 2


def test_posts_of_semeval_whose_files_disagree_are_counted_apart(tmp_path):
    write(tmp_path, "in/twitter-2013train-A.txt", "1\tpositive\ta b\n2\tnegative\tc d\n")
    write(tmp_path, "in/twitter-2016train-A.txt", "1\tnegative\ta b\n2\tnegative\tc d\n")
    test = "SemEval2017-task4-test.subtask-A.english"
    write(tmp_path, f"in/{test}.txt", "9\tnegative\tc\n")
    write(tmp_path, f"in/{test}.tsv", "8\tpositive\td\n")
    report, rows = made("semeval2017", tmp_path)
    assert [(row["id"], row["label"]) for row in rows["train.en"]] == [("1", "positive"), ("2", "negative")]
    assert report["train.en"]["changes"] == {
        "posts that an earlier line has, left out": 1,
        "posts that an earlier line has with another label, left out": 1,
    }
    assert len(rows["test.en"]) == 2, "a second file of the test set is read too"


@pytest.mark.parametrize(
    ("name", "file", "text", "message"),
    [
        ("sib-200", "deu_Latn/test.tsv", SIB.replace("\tscience/technology", ""), "test.tsv:2: 2 columns instead of 3"),
        ("sib-200", "deu_Latn/test.tsv", SIB.replace("science/", ""), "test.tsv:2: unknown label 'technology'"),
        ("sib-200", "deu_Latn/test.tsv", SIB.replace("category", "topic"), "test.tsv:1: no column 'category'"),
        ("cad-nli", "train.tsv", CAD + "one\ttwo\n", "train.tsv:5: 2 columns instead of 3"),
        ("nusax", "english/train.csv", NUSAX.replace('",negative', ",negative"), "train.csv:3: a quote is opened"),
        ("xsid", "de.test.conll", XSID.replace("# intent = weather/find\n", ""), "has no comment # intent ="),
        ("schuster", "en/test-en.tsv", "alarm\tx\n", "test-en.tsv:1: 2 columns instead of 5"),
        ("indonli", "val.jsonl", '{"pair_id": 1, "premise": "a", "hypothesis": "b", "label": "x"}\n',
         "val.jsonl:1: unknown label 'x'"),
        ("xnli", "other.tsv", CAD, "no file of xnli. It reads xnli.dev.tsv"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_place_and_nothing_is_written(name, file, text, message, tmp_path, capsys):
    write(tmp_path, f"in/{file}", text)
    arguments = ["benchmark", name, "--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    assert preprocess(arguments) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "M").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# text = a\n# intent = x\n# text = b\n# intent = y\n1\tb\tx\tO\n", "en.test.conll:3: another example begins"),
        ("# text = a\n# intent = x\n1\ta\tx\tO\n# intent = y\n", "en.test.conll:4: another example begins"),
        ("# text = a\n# intent = x\n\n1\tb\t_\tO\n\n", "en.test.conll:4: the example that begins here has no comment"),
    ],
)
def test_no_example_of_xsid_is_lost_in_another(tmp_path, capsys, text, message):
    write(tmp_path, "in/en.test.conll", text)
    assert preprocess(["benchmark", "xsid", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err


def test_a_partition_that_massive_does_not_have_is_refused(tmp_path, capsys):
    row = {"id": "1", "partition": "validation", "utt": "a", "intent": "x"}
    write(tmp_path, "in/en-US.jsonl", json.dumps(row) + "\n")
    assert preprocess(["benchmark", "massive", "--from", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    assert "en-US.jsonl:1: partition 'validation' is none of train, dev, test" in capsys.readouterr().err


def test_two_files_of_one_part_and_options_of_tasks_are_refused(tmp_path, capsys):
    write(tmp_path, "in/a/dev/aym.tsv", AYMARA)
    write(tmp_path, "in/b/dev/aym.tsv", AYMARA)
    arguments = ["--from", str(tmp_path / "in"), "--output", str(tmp_path / "M")]
    assert preprocess(["benchmark", "americasnli", *arguments]) == 1
    assert "are both files for valid.aym" in capsys.readouterr().err
    assert preprocess(["benchmark", "nusax", *arguments, "--drop", "neutrl"]) == 1
    assert "unknown label 'neutrl'. Did you mean 'neutral'" in capsys.readouterr().err
    assert preprocess(["benchmark", "pairs", *arguments, "--drop", "neutral"]) == 1
    assert "the task pairs reads your own files" in capsys.readouterr().err


# What the sources state: data/README.md of XALIGN_DATA, and the papers.
WHOLE = {
    "cad-nli": ("nli/cad-nli-en", {"train.en": 8330, "valid.en": 1000, "test.en": 2000}),
    "kornli": ("nli/kor-nlu", {"valid.ko": 2490, "test.ko": 5010}),
    "indonli": ("nli/indonli", {"train.id": 10330, "valid.id": 2197, "test.id": 2201, "test.id-expert": 2984,
                                "test.id-diagnostic": 650}),
    "americasnli": ("nli/americasnli", {"test": 7486}),
    "xsid": ("intent-slot/xsid-0.7", {"valid.de": 300, "test.de": 500, "valid.ja": 150, "test.ja": 250,
                                      "valid.no": 3300, "test.no": 5500}),
    "nusax": ("sentiment/nusax", {"train": 12 * 500, "valid": 12 * 100, "test": 12 * 400}),
    "sib-200": ("topic/sib-200", {"train": 13 * 701, "valid": 13 * 99, "test": 205 * 204}),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_whole_sets_have_the_counts_that_their_sources_state(name, tmp_path):
    place, expected = WHOLE[name]
    (folder,) = public_files(place)
    report, labels = benchmark(name, tmp_path / "L", folder=folder)
    counts = {key: value["examples"] for key, value in report.items()}
    for split in ("train", "valid", "test"):
        counts[split] = sum(count for key, count in counts.items() if key.startswith(f"{split}."))
    assert {key: counts[key] for key in expected} == expected
    known = SETS[name].labels
    assert labels == sorted(known) if known else len(labels) == 16
