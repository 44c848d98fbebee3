"""`xalign-evaluate score`: every form it reads, what it prints, and malformed input by file and line."""

import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.score import score
from fairseq_xalign.labelled.predictions import read_items
from preprocess.__main__ import main as preprocess


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def conllu(*sentences):
    """Sentences as strings of form/UPOS; `1-2` ranges and empty nodes are put in to be passed over."""
    text = ""
    for sentence in sentences:
        text += "# text = ...\n1-2\tdas\t_\t_\t_\t_\t_\t_\t_\t_\n"
        for number, item in enumerate(sentence.split(), 1):
            form, tag = item.split("/")
            text += f"{number}\t{form}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n"
        text += "2.1\tempty\t_\tX\t_\t_\t_\t_\t_\t_\n\n"
    return text


def tagged(name, language, gold, prediction):
    return {
        "id": name,
        "language": language,
        "tokens": ["t"] * len(gold.split()),
        "prediction": prediction.split(),
        "gold": gold.split(),
    }


def scores(capsys, *arguments):
    assert main(["score", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_lines_of_several_languages(tmp_path, capsys):
    file = write(
        tmp_path / "p.jsonl",
        lines(
            tagged("1", "hi", "NOUN VERB", "NOUN ADJ"),
            tagged("1", "ar", "DET NOUN NOUN VERB PUNCT", "DET NOUN ADJ VERB PUNCT"),
        ),
    )
    report = scores(capsys, "--task", "pos", "--predictions", file)
    assert report["scores"]["hi"]["accuracy"] == 50.0
    assert report["scores"]["ar"] == {"accuracy": 80.0, "chunk_f1": pytest.approx(66.6666666667)}
    assert report["average"]["accuracy"] == 65.0
    assert report["counts"]["ar"] == {"items": 1, "tokens": 5, "missing": 0}
    low, high = report["intervals"]["ar"]["accuracy"]
    assert low <= 80.0 <= high
    assert "bootstrap:1000|seed:12345" in report["signatures"]["ar"]["accuracy"]
    only = scores(
        capsys, "--task", "pos", "--predictions", file, "--language", "hi", "--bootstrap", "0", "--split", "test"
    )
    assert list(only["scores"]) == ["hi"] and only["intervals"] == {} and "average" not in only
    assert "split:test|lang:hi" in only["signatures"]["hi"]["accuracy"]


def test_the_published_set_that_predictions_name_is_passed_on(tmp_path, capsys):
    rows = [
        tagged("1", "hi", "NOUN", "NOUN") | {"set": "xtreme"},
        tagged("2", "hi", "NOUN", "VERB") | {"set": "xtreme"},
    ]
    report = scores(capsys, "--task", "pos", "--predictions", write(tmp_path / "p.jsonl", lines(*rows)))
    assert report["set"] == "xtreme"
    rows[1].pop("set")
    report = scores(capsys, "--task", "pos", "--predictions", write(tmp_path / "q.jsonl", lines(*rows)))
    assert "set" not in report


def test_conllu_gold_and_predicted(tmp_path, capsys):
    gold = write(tmp_path / "g.conllu", conllu("das/DET Haus/NOUN", "geht/VERB"))
    guess = write(tmp_path / "p.conllu", conllu("das/DET Haus/ADJ", "geht/VERB"))
    report = scores(capsys, "--task", "pos", "--predictions", guess, "--gold", gold, "--language", "de")
    assert report["scores"]["de"]["accuracy"] == pytest.approx(200 / 3)
    assert report["counts"]["de"] == {"items": 2, "tokens": 3, "missing": 0}


@pytest.mark.parametrize("gap", ["\t", " "])
def test_two_columns_of_token_and_tag_and_a_truncated_sentence(tmp_path, capsys, gap):
    gold = write(tmp_path / "g.tsv", f"Anna{gap}B-PER\nsah{gap}O\nBonn{gap}B-LOC\n\nJa{gap}O\n")
    guess = write(tmp_path / "p.tsv", f"Anna{gap}B-PER\nsah{gap}O\n\nJa{gap}O")
    report = scores(capsys, "--task", "ner", "--predictions", guess, "--gold", gold)
    assert report["scores"]["all"] == {
        "chunk_f1": pytest.approx(200 / 3),
        "chunk_f1_strict": pytest.approx(200 / 3),
        "accuracy": 75.0,
    }
    assert report["counts"]["all"]["missing"] == 1


def test_one_label_a_line(tmp_path, capsys):
    gold, guess = write(tmp_path / "g.txt", "1\n1\n1\n0\n"), write(tmp_path / "p.txt", "1\n1\n0\n0\n")
    report = scores(capsys, "--task", "classification", "--predictions", guess, "--gold", gold)
    assert report["scores"]["all"] == {
        "accuracy": 75.0,
        "macro_f1": pytest.approx(73.3333333333),
        "micro_f1": pytest.approx(75.0),
    }


def test_json_lines_scored_against_a_labelled_folders_file(tmp_path, capsys):
    gold = write(
        tmp_path / "test.hi.jsonl",
        lines({"id": "b", "text": "x", "label": "no"}, {"id": "a", "text": "y", "label": "yes"}),
    )
    guess = write(tmp_path / "p.jsonl", lines({"id": "a", "prediction": "yes"}, {"id": "b", "prediction": "yes"}))
    assert (
        scores(capsys, "--task", "classification", "--predictions", guess, "--gold", gold)["scores"]["all"]["accuracy"]
        == 50.0
    )


def test_text_output_has_one_line_a_language_and_the_signatures(tmp_path, capsys):
    file = write(tmp_path / "p.jsonl", lines(tagged("1", "hi", "NOUN VERB", "NOUN ADJ")))
    assert main(["score", "--task", "pos", "--predictions", str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["language", "items", "accuracy", "chunk_f1"]
    assert out[2].startswith("hi") and "50.00 [50.00, 50.00]" in out[2]
    assert out[-2].startswith("accuracy|per:token|n:1|lang:hi|")


def test_paired_test_against_another_system(tmp_path, capsys):
    good = write(tmp_path / "a.jsonl", lines(*(tagged(str(i), "hi", "NOUN VERB", "NOUN VERB") for i in range(30))))
    bad = write(
        tmp_path / "b.jsonl",
        lines(*(tagged(str(i), "hi", "NOUN VERB", "NOUN " + ["VERB", "ADJ"][i % 2]) for i in reversed(range(30)))),
    )
    report = scores(capsys, "--task", "pos", "--predictions", good, "--against", bad)
    test = report["paired"]["hi"]["accuracy"]
    assert test["difference"] == 25.0 and test["low"] > 0 and test["p"] < 0.01
    fewer = write(tmp_path / "c.jsonl", lines(tagged("0", "hi", "NOUN VERB", "NOUN VERB")))
    assert main(["score", "--task", "pos", "--predictions", str(good), "--against", str(fewer)]) == 1
    assert "same items" in capsys.readouterr().err


GOOD_POS = conllu("das/DET Haus/NOUN")
# task, predictions, gold (None: not given), the line named (None: the file as a whole), what the message says
MALFORMED = [
    ("pos", '{"prediction": ["A"], "gold": ["A"]}\n{"prediction"\n', None, 2, "not valid JSON"),
    ("pos", '{"id": 1, "gold": ["A"]}\n', None, 1, 'no "prediction"'),
    ("pos", '{"id": 1, "prediction": ["A"]}\n', None, 1, 'no "gold"'),
    ("pos", '{"prediction": "A", "gold": ["A"]}\n', None, 1, '"prediction" must be a list of tags'),
    ("pos", '{"prediction": ["A"], "gold": [""]}\n', None, 1, '"gold" must be a list of tags'),
    ("pos", '{"prediction": ["A", "B"], "gold": ["A"]}\n', None, 1, "2 predicted tags for 1 tokens"),
    ("pos", '{"tokens": ["a", "b"], "prediction": ["A"], "gold": ["A"]}\n', None, 1, "1 gold tags for 2 tokens"),
    ("classification", '{"prediction": 1, "gold": "a"}\n', None, 1, "must be a label"),
    ("pos", lines(*[tagged("7", "hi", "A", "A")] * 2), None, 2, "id '7' occurs twice"),
    ("pos", '{"id": "x", "prediction": ["A"]}\n', '{"id": "y", "tags": ["A"]}\n', 1, "id 'x' is not in"),
    (
        "pos",
        '{"id": "y", "prediction": ["A"]}\n',
        '{"id": "y", "tags": ["A"]}\n{"id": "z", "tags": ["A"]}\n',
        None,
        "no prediction for 1 item of",
    ),
    ("pos", GOOD_POS.replace("Haus\t_", "Haus"), GOOD_POS, 4, "9 columns"),
    ("pos", GOOD_POS.replace("Haus", "Hof"), GOOD_POS, 4, "token 'Hof', but"),
    ("pos", GOOD_POS, GOOD_POS + GOOD_POS, None, "1 sentence, but"),
    ("pos", GOOD_POS, None, 1, "no gold labels"),
    ("pos", "", GOOD_POS, None, "0 sentences, but"),
    ("pos", "", None, None, "the file is empty"),
    ("classification", "\n\n", None, None, "the file is empty"),
    ("ner", "a O\nb\n", "a O\nb O\n", 2, "1 columns"),
    ("ner", "a O\nb O\nc O\n", "a O\nb O\n", 1, "3 predicted tags for 2 tokens"),
    (
        "ner",
        "a O\nb NOUN\n",
        "a O\nb O\n",
        2,
        "tag 'NOUN' is not an IOB2 tag. Named-entity tags are O",
    ),
    ("ner", "a O\nb B-\n", "a O\nb O\n", 2, "tag 'B-' is not an IOB2 tag"),
    ("ner", lines(tagged("1", "hi", "O", "O"), tagged("2", "hi", "O O", "O X")), None, 2, "'X' (number 2 in \"pred"),
    ("ner", lines(tagged("1", "hi", "O NOUN", "O O")), None, 1, "'NOUN' (number 2 in \"gold\") is not an IOB2 tag"),
    ("classification", "a\n\n", "a\nb\n", 2, "empty line"),
    ("classification", "a\n", "a\nb\n", None, "1 label, but"),
]


@pytest.mark.parametrize(("task", "predictions", "gold", "line", "message"), MALFORMED)
def test_malformed_input_is_named_by_file_and_line(tmp_path, task, predictions, gold, line, message):
    guess = write(tmp_path / "p", predictions)
    truth = None if gold is None else write(tmp_path / "g", gold)
    with pytest.raises(UserError) as caught:
        read_items(task, guess, truth)
    assert message in str(caught.value)
    assert (str(caught.value.where), caught.value.line) == (str(guess), line) and caught.value.remedy


def test_a_gold_tag_that_is_no_entity_tag_is_named_in_the_gold_file(tmp_path, capsys):
    guess, gold = write(tmp_path / "p.tsv", "a O\nb O\n"), write(tmp_path / "g.tsv", "a O\nb VERB\n")
    assert main(["score", "--task", "ner", "--predictions", str(guess), "--gold", str(gold)]) == 1
    captured = capsys.readouterr()
    assert (
        f"{gold}:2: tag 'VERB' is not an IOB2 tag" in captured.err and "--task pos" in captured.err and not captured.out
    )
    guess = write(tmp_path / "p.jsonl", lines({"id": "x", "prediction": ["O", "O"]}))
    gold = write(tmp_path / "g.jsonl", lines({"id": "x", "tags": ["O", "VERB"]}))
    assert main(["score", "--task", "ner", "--predictions", str(guess), "--gold", str(gold)]) == 1
    assert f"{gold}:1: tag 'VERB' (number 2 in \"gold\") is not an IOB2 tag" in capsys.readouterr().err


def test_an_unknown_language_names_those_there_are(tmp_path):
    file = write(tmp_path / "p.jsonl", lines(tagged("1", "hi", "A", "A"), tagged("1", "ar", "A", "A")))
    with pytest.raises(UserError, match="Known: ar, hi"):
        read_items("pos", file, language="de")


def test_a_negative_seed_is_refused_by_name(tmp_path, capsys):
    predictions = write(tmp_path / "p", lines(tagged("1", "hi", "A", "A")))
    assert main(["score", "--task", "pos", "--predictions", str(predictions), "--seed", "-1"]) == 1
    assert "--seed -1 is too small. Choose 0 or more" in capsys.readouterr().err


def test_failure_is_one_line_and_exit_status_one(tmp_path, capsys):
    assert main(["score", "--task", "ner", "--predictions", str(tmp_path / "missing")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "missing" in captured.err


@pytest.mark.parametrize("text", ["1\n2\n", '[{"id": "1"}]\n'])
def test_predictions_that_are_no_objects_are_named_with_their_line(tmp_path, capsys, text):
    path = write(tmp_path / "p.jsonl", text)
    assert main(["score", "--task", "classification", "--predictions", str(path)]) == 1
    said = capsys.readouterr().err
    assert f"{path}:1: no JSON object, so this file has no gold labels" in said and said.count("\n") == 1


def two_languages(tmp_path, names=("hi", "ar")):
    """Predictions of two languages that share their ids, and a labelled folder with the gold labels of both."""
    guesses = [
        {"id": "1", "language": names[0], "tokens": ["a", "b"], "prediction": ["NOUN", "ADJ"]},
        {"id": "1", "language": names[1], "tokens": ["c"], "prediction": ["DET"]},
    ]
    write(tmp_path / "labels.json", json.dumps({"format": 1, "task": "tagging", "labels": ["X"], "name": "pos"}))
    for row, tags in zip(guesses, (["NOUN", "VERB"], ["DET"])):
        gold = {"id": "1", "tokens": row["tokens"], "tags": tags}
        write(tmp_path / f"test.{row['language']}.jsonl", lines(gold))
    return write(tmp_path / "p.jsonl", lines(*guesses))


@pytest.mark.parametrize("options", [["--language", "hi"], []])
def test_the_language_is_chosen_before_items_are_matched(tmp_path, capsys, options):
    guess = two_languages(tmp_path)
    gold = tmp_path / "test.hi.jsonl"
    report = scores(capsys, "--task", "pos", "--predictions", guess, "--gold", gold, *options, "--against", guess)
    assert {name: found["accuracy"] for name, found in report["scores"].items()} == {"hi": 50.0}
    assert report["paired"]["hi"]["accuracy"]["difference"] == 0


def test_a_gold_file_outside_a_labelled_folder_is_of_the_language_in_its_name_or_must_be_named(tmp_path, capsys):
    guess = two_languages(tmp_path)
    (tmp_path / "labels.json").unlink()
    report = scores(capsys, "--task", "pos", "--predictions", guess, "--gold", tmp_path / "test.ar.jsonl")
    assert report["scores"] == {"ar": {"accuracy": 100.0, "chunk_f1": 100.0}}
    gold = (tmp_path / "test.hi.jsonl").rename(tmp_path / "gold.jsonl")
    assert main(["score", "--task", "pos", "--predictions", str(guess), "--gold", str(gold)]) == 1
    assert "predictions in ar, hi. Choose the language with --language" in capsys.readouterr().err
    report = scores(capsys, "--task", "pos", "--predictions", guess, "--gold", gold, "--language", "hi")
    assert report["scores"]["hi"]["accuracy"] == 50.0


def test_languages_that_only_one_side_has_are_named(tmp_path, capsys):
    guess = two_languages(tmp_path)
    gold = [{"id": "1", "language": name, "gold": ["DET"]} for name in ("ar", "de")]
    options = ["--predictions", str(guess), "--gold", str(write(tmp_path / "g.jsonl", lines(*gold)))]
    assert main(["score", "--task", "pos", *options]) == 0
    assert "scored: ar alone; de, hi: predictions or gold labels are missing" in capsys.readouterr().err


def test_gold_of_several_languages_is_matched_by_language_and_id(tmp_path, capsys):
    guess = two_languages(tmp_path)
    gold = [
        {"id": "1", "language": "ar", "gold": ["NOUN"]},
        {"id": "1", "language": "hi", "gold": ["NOUN", "ADJ"]},
        {"id": "1", "language": "de", "gold": ["X"]},
    ]
    options = ["--task", "pos", "--predictions", guess, "--gold", write(tmp_path / "g.jsonl", lines(*gold))]
    report = scores(capsys, *options)
    assert {name: found["accuracy"] for name, found in report["scores"].items()} == {"hi": 100.0, "ar": 0.0}
    assert list(scores(capsys, *options, "--language", "ar")["scores"]) == ["ar"]
    assert main(["score", *map(str, options), "--language", "de"]) == 1
    assert "no predictions: unknown language 'de'. Known: ar, hi" in capsys.readouterr().err


def test_gold_with_ids_that_are_unique_over_all_languages_needs_no_language(tmp_path, capsys):
    guess = write(tmp_path / "p", lines(tagged("hi:1", "hi", "A", "A"), tagged("ar:1", "ar", "A", "B")))
    gold = write(tmp_path / "g", lines({"id": "ar:1", "tags": ["B"]}, {"id": "hi:1", "tags": ["B"]}))
    report = scores(capsys, "--task", "pos", "--predictions", guess, "--gold", gold)
    assert {name: found["accuracy"] for name, found in report["scores"].items()} == {"hi": 0.0, "ar": 100.0}


def test_without_ids_items_are_matched_in_order_and_by_their_tokens(tmp_path, capsys):
    rows = [{"id": f"en:{i}", "language": "en", "tokens": [t], "prediction": ["A"]} for i, t in enumerate("xy")]
    guess = write(tmp_path / "p", lines(*rows))
    gold = write(tmp_path / "g", lines(*({"tokens": [t], "tags": [tag]} for t, tag in zip("xy", "AB"))))
    report = scores(capsys, "--task", "pos", "--predictions", guess, "--gold", gold)
    assert report["scores"]["en"]["accuracy"] == 50.0
    swapped = write(tmp_path / "s", lines(*({"tokens": [t], "tags": ["A"]} for t in "yx")))
    assert main(["score", "--task", "pos", "--predictions", str(guess), "--gold", str(swapped)]) == 1
    assert f"{guess}:1: token 'x', but {swapped}:1 has 'y'" in capsys.readouterr().err


def test_json_lines_are_scored_against_gold_in_the_tasks_own_format(tmp_path, capsys):
    gold = write(tmp_path / "g.conllu", conllu("das/DET Haus/NOUN", "geht/VERB"))
    rows = [{"id": "2", "prediction": ["VERB"]}, {"id": "1", "prediction": ["DET", "ADJ"]}]
    report = scores(capsys, "--task", "pos", "--predictions", write(tmp_path / "p", lines(*rows)), "--gold", gold)
    assert report["scores"]["all"]["accuracy"] == pytest.approx(200 / 3)
    table = write(tmp_path / "g.tsv", "good\tI like it.\nbad\tI do not.\n")
    guess = write(tmp_path / "p.txt", "good\ngood\n")
    report = scores(capsys, "--task", "classification", "--predictions", guess, "--gold", table)
    assert report["scores"]["all"]["accuracy"] == 50.0


def test_predictions_of_another_task_are_refused_by_name(tmp_path, capsys):
    guess = write(tmp_path / "p", lines({"task": "pos", "id": "1", "prediction": ["X"], "gold": ["X"]}))
    assert main(["score", "--task", "ner", "--predictions", str(guess)]) == 1
    assert f"{guess}:1: labels of the task pos, not ner. Score them with --task pos" in capsys.readouterr().err
    predictions = two_languages(tmp_path)
    gold = tmp_path / "test.hi.jsonl"
    assert main(["score", "--task", "ner", "--predictions", str(predictions), "--gold", str(gold)]) == 1
    assert f"{gold}: labels of the task pos, not ner" in capsys.readouterr().err


def test_score_reads_what_benchmark_reads_and_scores_it_alike(tmp_path, capsys):
    """U+00A0 as a token, Universal NER's five columns and comments, IOB1, ``_`` as gold UPOS."""
    ner = "# text = Ada Bonn\n1\tAda\tI-PER\t-\tx\n2\t\u00a0\tO\t-\tx\n3\tBonn\tB-LOC\t-\tx\n"
    pos = "1\tdas\t_\t_\t_\t_\t0\t_\t_\t_\n2\tHaus\t_\tNOUN\t_\t_\t0\t_\t_\t_\n\n"
    for task, name, text, tags in (
        ("ner", "test.en.iob2", ner, ["B-PER", "O", "B-LOC"]),
        ("pos", "test.en.conllu", pos, ["X", "NOUN"]),
    ):
        source = write(tmp_path / name, text)
        made = tmp_path / task
        arguments = ["benchmark", task, "--input", f"test.en={source}", "--output", str(made)]
        assert preprocess(arguments) == 0
        capsys.readouterr()
        row = json.loads((made / "test.en.jsonl").read_text("utf-8"))
        assert row["tags"] == tags
        guess = write(tmp_path / f"{task}.jsonl", lines({"id": row["id"], "language": "en", "prediction": tags}))
        figures = [
            scores(capsys, "--task", task, "--predictions", guess, "--gold", gold)["scores"]["en"]
            for gold in (source, made / "test.en.jsonl")
        ]
        assert figures[0] == figures[1] and set(figures[0].values()) == {100.0}


def test_score_is_a_function_of_plain_arguments(tmp_path):
    file = write(tmp_path / "p.jsonl", lines(tagged("1", "hi", "NOUN VERB", "NOUN ADJ")))
    report = score("pos", file, bootstrap=0, split="test")
    assert report["scores"] == {"hi": {"accuracy": 50.0, "chunk_f1": 50.0}}


@pytest.mark.parametrize("samples", [-1, 1, 99])
def test_too_few_resamples_for_an_interval_are_refused(tmp_path, capsys, samples):
    file = write(tmp_path / "p.jsonl", lines(tagged("1", "hi", "NOUN VERB", "NOUN ADJ")))
    assert main(["score", "--task", "pos", "--predictions", str(file), "--bootstrap", str(samples)]) == 1
    said = capsys.readouterr().err
    assert f"--bootstrap {samples} is too small" in said and "Choose 100 or more, or 0 for none" in said
    assert score("pos", file, bootstrap=100)["intervals"]["hi"]["accuracy"] == [50.0, 50.0]
