"""Fine-tuning: from a pre-trained checkpoint to labels of a language without any, and back to files."""

import contextlib
import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from fairseq_xalign import cli
from fairseq_xalign.criterions.xling import XlingCriterion
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.evaluate.commands.predict import predict
from fairseq_xalign.labelled.folder import LabelledFolder, english_among
from fairseq_xalign.labelled.labeller import load_labeller
from fairseq_xalign.labelled.tagging import POS, Tagging
from fairseq_xalign.labelled.validated import Validated
from tests.support.running import finetune, pretrain


@pytest.fixture(scope="module")
def pretrained(data, tmp_path_factory):
    """ALIGN-MLM for a few hundred updates: enough that aligned words share their tags."""
    run = pretrain(data, tmp_path_factory.mktemp("pretrained"), "align_mlm", 200)
    assert run.status == 0, run.text[-2000:]
    return run.save_dir


@pytest.fixture(scope="module")
def tagger(labelled, pretrained, tmp_path_factory):
    run = finetune(labelled, pretrained, tmp_path_factory.mktemp("tagger"))
    assert run.status == 0, run.text[-2000:]
    return run


def test_tags_that_follow_from_the_word_are_learned(tagger):
    accuracies = [float(r["accuracy"]) for r in tagger.records("train_inner")]
    assert sum(accuracies[-10:]) / 10 > 78 > 60 > sum(accuracies[:5]) / 5


def test_prediction_needs_only_the_checkpoint_and_scores_both_languages(tagger, labelled, tmp_path, capsys):
    predicted = tmp_path / "pred.jsonl"
    arguments = [
        "predict",
        "--checkpoint",
        tagger.save_dir,
        "--data",
        labelled,
        "--languages",
        "en,xx",
        "--output",
        predicted,
    ]
    assert evaluate([str(a) for a in arguments]) == 0
    rows = [json.loads(line) for line in predicted.read_text("utf-8").splitlines()]
    assert {r["language"] for r in rows} == {"en", "xx"}
    for row in rows:
        assert len(row["prediction"]) == len(row["gold"]) == len(row["tokens"])
    assert evaluate(["score", "--task", "pos", "--predictions", str(predicted), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["en"]["accuracy"] > 80
    # half of the pieces are in the dictionary: zero-shot is far above the 40 % of the most frequent tag
    assert scores["xx"]["accuracy"] > 50


def test_batching_does_not_change_predictions(tagger, labelled, tmp_path):
    files = []
    for tokens in (64, 100_000):
        files.append(tmp_path / f"{tokens}.jsonl")
        evaluate(["predict", "--checkpoint", str(tagger.save_dir), "--data", str(labelled), "--output", str(files[-1]),
                  "--batch-tokens", str(tokens)])  # fmt: skip
    assert files[0].read_text("utf-8") == files[1].read_text("utf-8")


def test_predictions_do_not_depend_on_how_many_examples_are_held_at_a_time(tagger, labelled, tmp_path, monkeypatch):
    files = [tmp_path / "whole", tmp_path / "parts"]
    for file in files:
        arguments = ["--checkpoint", str(tagger.save_dir), "--data", str(labelled), "--output", str(file)]
        assert evaluate(["predict", *arguments]) == 0
        monkeypatch.setattr("fairseq_xalign.evaluate.commands.predict.CHUNK", 3)
    assert files[0].read_text("utf-8") == files[1].read_text("utf-8")


def test_a_text_has_one_language(tagger, tmp_path, capsys):
    text = tmp_path / "text"
    text.write_text("words\n", "utf-8")
    arguments = ["--checkpoint", str(tagger.save_dir), "--text", str(text), "--languages", "en,de"]
    assert evaluate(["predict", *arguments, "--output", str(tmp_path / "out")]) == 1
    assert "a text has one language" in capsys.readouterr().err


def test_plain_text_is_tagged_word_by_word(tagger, tmp_path):
    text, out = tmp_path / "text", tmp_path / "out"
    text.write_text("The state of the Union\nwords\n", "utf-8")
    assert evaluate(["predict", "--checkpoint", str(tagger.save_dir), "--text", str(text), "--output", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [len(r["prediction"]) for r in rows] == [5, 1] and rows[0]["gold"] is None


@pytest.mark.parametrize("content", ["", "\n", " \n\n"])
def test_a_text_without_words_is_an_error_and_writes_nothing(tagger, tmp_path, capsys, content):
    text, out = tmp_path / "text", tmp_path / "out"
    text.write_text(content, "utf-8")
    assert evaluate(["predict", "--checkpoint", str(tagger.save_dir), "--text", str(text), "--output", str(out)]) == 1
    assert f"{text}: no text in it" in capsys.readouterr().err and not out.exists()


def test_fine_tuning_resumes_bit_for_bit(labelled, pretrained, tmp_path):
    whole = finetune(labelled, pretrained, tmp_path / "whole", "tagging", 8)
    first = finetune(labelled, pretrained, tmp_path / "cut", "tagging", 3)
    second = finetune(labelled, pretrained, tmp_path / "cut", "tagging", 8)
    assert first.losses() + second.losses() == whole.losses()


def test_a_long_sentence_is_split_and_every_word_gets_a_tag(tagger, labelled):
    labeller = load_labeller(tagger.save_dir)
    labeller.max_length = 12
    folder = LabelledFolder.open(labelled)
    rows = list(folder.rows("test", "en"))
    encoded = labeller.encode(rows, "en")
    assert all(len(e.ids) <= 10 for e in encoded.examples) and len(encoded.examples) > len(rows)
    for index, row in enumerate(rows):
        labels = [label for e in encoded.examples if e.row == index for label in e.labels]
        assert [labeller.labels[label] for label in labels] == row["tags"]


def test_scores_in_bfloat16_are_those_of_float32_within_its_rounding(tagger, labelled, tmp_path):
    labeller = load_labeller(tagger.save_dir)
    encoded = labeller.encode(list(LabelledFolder.open(labelled).rows("test", "en")), "en")
    found = []
    for labeller.bf16 in (False, True):
        scores = torch.cat([scores for _, _, scores in labeller.scored(encoded, 1000)])
        assert scores.dtype == torch.float32
        found.append(scores)
    assert not torch.equal(*found) and (found[0] - found[1]).norm() < 0.02 * found[0].norm()
    inputs = ["--checkpoint", str(tagger.save_dir), "--data", str(labelled), "--languages", "en", "--bf16"]
    assert evaluate(["predict", *inputs, "--output", str(tmp_path / "out")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out").read_text("utf-8").splitlines()]
    tags = [labeller.labels[i] for i in found[1].argmax(-1)]
    assert sorted(tag for line in lines for tag in line["prediction"]) == sorted(tags)


def test_the_bar_of_predictions_ends_where_all_examples_are_done(tagger, labelled, monkeypatch):
    moved = []

    @contextlib.contextmanager
    def bar(what, total):
        moved.append(total)
        yield moved.append

    monkeypatch.setattr(cli, "bar", bar)
    rows = list(predict(tagger.save_dir, data=labelled, batch_tokens=300))
    total, *parts = moved
    assert total == len(rows) and sum(parts) == pytest.approx(total) and len(parts) > 4


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_texts_are_classified(pretrained, tmp_path, pooling):
    from tests.tasks.conftest import TEXT
    from tests.tasks.conftest import run as preprocess

    lines = [line for line in TEXT.read_text("utf-8").splitlines() if line]
    for split, part in (("train", lines[:200]), ("valid", lines[200:240]), ("test", lines[240:])):
        rows = [f"{'long' if len(line) > 150 else 'short'}\t{line}" for line in part]
        (tmp_path / f"{split}.en.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    preprocess("benchmark", "classification", "--from", tmp_path, "--output", tmp_path / "LABELLED")
    run = finetune(tmp_path / "LABELLED", pretrained, tmp_path / "run", "classification", 130, "--pooling", pooling)
    assert run.status == 0, run.text[-2000:]
    accuracies = [float(r["accuracy"]) for r in run.records("train_inner")]
    assert sum(accuracies[-13:]) / 13 > 80  # a pass over 200 texts in batches of 16, whose texts are equally long
    predicted = tmp_path / "pred.jsonl"
    assert (
        evaluate(
            [
                "predict",
                "--checkpoint",
                str(run.save_dir),
                "--data",
                str(tmp_path / "LABELLED"),
                "--output",
                str(predicted),
            ]
        )
        == 0
    )
    assert {json.loads(line)["prediction"] for line in predicted.read_text("utf-8").splitlines()} <= {"long", "short"}


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("classification", [], "Use --task xling_tagging"),
        (
            "tagging",
            ["--train-languages", "en,zz"],
            "--train-languages en,zz: no train examples in 'zz'. Choose --train-languages from what the folder has: "
            "test: en, xx; train: en, xx; valid: en, xx",
        ),
        (
            "tagging",
            ["--valid-languages", "zz"],
            "--valid-languages zz: no valid examples in 'zz'. Choose --valid-lang",
        ),
        ("tagging", ["--train-subset", "train2"], "no train2 examples. Choose --train-subset from what the folder has"),
        (
            "tagging",
            ["--encoder-layers", "3"],
            "--encoder-layers 3: the checkpoint has 1. Use the architecture that the checkpoint was trained with: --ar",
        ),
        (
            "tagging",
            ["--criterion", "mlm"],
            "--criterion mlm does not work with --task xling_tagging. Choose from xling",
        ),
        ("tagging", ["--best-checkpoint-metric", "f1"], "no such figure is measured on 'valid'. Known: loss, accuracy"),
        ("tagging", ["--max-length", "2"], "--max-length 2 is too small. Choose 3 or more"),
        ("tagging", ["--head-dropout", "1"], "--head-dropout 1.0 is not a share"),
        ("tagging", ["--label-smoothing", "-1"], "--label-smoothing -1.0 is not a share"),
        ("tagging", ["--lr", "1e30"], "the loss is not finite (nan) on: en "),
    ],
)
def test_a_mistake_in_fine_tuning_is_one_line(labelled, pretrained, tmp_path, task, options, said):
    run = finetune(labelled, pretrained, tmp_path, task, 2, *options)
    assert run.status == 1 and said in run.text.rstrip().splitlines()[-1], run.text[-1500:]


def test_a_label_that_is_not_in_labels_json_is_refused_in_training_and_wrong_in_prediction(
    tagger, labelled, pretrained, tmp_path
):
    folder = shutil.copytree(labelled, tmp_path / "LABELLED")
    for split in ("valid", "test"):
        rows = (folder / f"{split}.en.jsonl").read_text("utf-8").splitlines()
        rows[6] = rows[6].replace('"NOUN"', '"NUON"', 1)
        assert "NUON" in rows[6]
        (folder / f"{split}.en.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    run = finetune(folder, pretrained, tmp_path, "tagging", 2)
    last = run.text.rstrip().splitlines()[-1]
    assert run.status == 1 and "valid.en.jsonl:7: label 'NUON' is not in labels.json" in last, run.text[-1500:]
    out = tmp_path / "pred.jsonl"
    arguments = ["--checkpoint", tagger.save_dir, "--data", folder, "--languages", "en, xx", "--output", out]
    assert evaluate(["predict", *map(str, arguments)]) == 0
    predicted = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert "NUON" in predicted[6]["gold"] and {row["language"] for row in predicted} == {"en", "xx"}


def test_what_may_be_the_best_checkpoint_metric_is_what_validation_measures(labelled, pretrained, tmp_path):
    metric = ["--best-checkpoint-metric", "accuracy_xx", "--maximize-best-checkpoint-metric"]
    run = finetune(labelled, pretrained, tmp_path, "tagging", 2, "--valid-languages", "en, xx", *metric)
    assert run.status == 0, run.text[-1500:]
    logged = {name.removeprefix("valid_") for name in run.records("valid")[-1]}
    figures = ["loss", "accuracy", "loss_en", "accuracy_en", "loss_xx", "accuracy_xx"]
    chunks = ["chunk_f1", "chunk_f1_en", "chunk_f1_xx"]
    assert logged - {"epoch", "wpb", "bsz", "num_updates", "best_accuracy_xx"} == {*figures, *chunks}
    accuracies = {name: float(run.records("valid")[-1][f"valid_accuracy{name}"]) for name in ("", "_en", "_xx")}
    assert min(accuracies.values()) < accuracies[""] < max(accuracies.values())
    streams = [SimpleNamespace(language=name) for name in ("en", "xx")]
    for count, names in ((2, figures + chunks), (1, figures[:2] + chunks[:1])):
        languages = ["en", "xx"][:count]
        validated = Validated(Tagging(), POS, ["NOUN", "X"], languages)
        task = SimpleNamespace(reported_languages=lambda languages=languages: languages, validated=validated)
        criterion = XlingCriterion(SimpleNamespace(label_smoothing=0.0), task)
        assert criterion.validation_metrics(streams[:count]) == names


def test_languages_of_training_are_those_of_the_train_subset(labelled, pretrained, tmp_path):
    folder = tmp_path / "LABELLED"
    folder.mkdir()
    for name, source in (("train.en", "train.en"), ("train2.xx", "train.xx"), ("valid.en", "valid.en")):
        (folder / f"{name}.jsonl").write_bytes((labelled / f"{source}.jsonl").read_bytes())
    (folder / "labels.json").write_bytes((labelled / "labels.json").read_bytes())
    subset = ["--train-subset", "train2"]
    run = finetune(folder, pretrained, tmp_path / "first", "tagging", 1, *subset)
    assert run.status == 1
    said = run.text.rstrip().splitlines()[-1]
    assert "no valid examples in 'xx', a language to train on" in said and "Add valid.xx to the files" in said
    run = finetune(folder, pretrained, tmp_path / "second", "tagging", 1, *subset, "--valid-languages", "en")
    assert run.status == 0, run.text[-2000:]
    assert "train2 xx: " in run.text and "valid en: " in run.text and "train en: " not in run.text
    assert run.checkpoint()["task_state"]["train_languages"] == ["xx"]


def test_info_describes_a_checkpoint(tagger, capsys):
    assert evaluate(["info", str(tagger.save_dir), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["languages"] == ["en", "xx"] and values["task"] == "tagging" and "NOUN" in values["labels"]


def test_entities_are_learned_predicted_and_scored_as_a_task_of_their_own(pretrained, tmp_path, capsys):
    from tests.tasks.conftest import TEXT
    from tests.tasks.conftest import run as preprocess

    lines = [line.split() for line in TEXT.read_text("utf-8").splitlines() if line]
    for split, part in (("train", lines[:100]), ("valid", lines[100:110]), ("test", lines[110:120])):
        sentences = ["\n".join(f"{word}\t{'B-CAP' if word[0].isupper() else 'O'}" for word in line) for line in part]
        (tmp_path / f"{split}.en.tsv").write_text("\n\n".join(sentences) + "\n", "utf-8")
    preprocess("benchmark", "ner", "--from", tmp_path, "--output", tmp_path / "LABELLED")
    run = finetune(tmp_path / "LABELLED", pretrained, tmp_path / "run", "tagging", 60)
    assert run.status == 0, run.text[-2000:]
    guess = tmp_path / "pred.jsonl"
    arguments = ["--checkpoint", run.save_dir, "--data", tmp_path / "LABELLED", "--output", guess]
    assert evaluate(["predict", *map(str, arguments)]) == 0
    capsys.readouterr()
    assert evaluate(["score", "--task", "pos", "--predictions", str(guess)]) == 1
    assert "labels of the task ner, not pos" in capsys.readouterr().err
    assert evaluate(["score", "--task", "ner", "--predictions", str(guess), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["scores"]["en"]
    assert found["chunk_f1"] > 50 and found["chunk_f1_strict"] > 50


def test_a_folder_of_another_task_of_the_same_kind_is_refused_by_name(tagger, labelled, tmp_path, capsys):
    folder = shutil.copytree(labelled, tmp_path / "LABELLED")
    description = json.loads((folder / "labels.json").read_text("utf-8"))
    (folder / "labels.json").write_text(json.dumps(description | {"name": "ner"}), "utf-8")
    arguments = ["--checkpoint", tagger.save_dir, "--data", folder, "--output", tmp_path / "out"]
    assert evaluate(["predict", *map(str, arguments)]) == 1
    assert f"{folder}: its task is ner, the checkpoint's pos" in capsys.readouterr().err


def test_predict_is_a_function_that_yields_the_lines_that_the_command_writes(tagger, labelled, tmp_path):
    out = tmp_path / "out"
    arguments = ["--checkpoint", tagger.save_dir, "--data", labelled, "--languages", "en", "--output", out]
    assert evaluate(["predict", *map(str, arguments)]) == 0
    lines = list(predict(tagger.save_dir, data=labelled, languages=["en"]))
    assert lines == [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {line["task"] for line in lines} == {"pos"}
    with pytest.raises(UserError, match="Give either data"):
        predict(tagger.save_dir)


@pytest.mark.parametrize(
    ("languages", "english"),
    [
        (["de", "en", "en-PUD"], ["en"]),
        (["arb_Arab", "deu_Latn", "eng_Latn"], ["eng_Latn"]),
        (["en-GB", "en-US", "fr"], ["en-GB", "en-US"]),
        (["enm", "de"], []),
    ],
)
def test_english_is_what_is_trained_on_by_default_whatever_code_it_has(languages, english):
    assert english_among(languages) == english
