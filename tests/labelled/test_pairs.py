"""Pairs of texts are read as transformers reads them: separators, segments, truncation and scores."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fairseq_xalign
from fairseq_xalign.constants import BOS, EOS
from fairseq_xalign.convert.commands.to_hf import to_hf
from fairseq_xalign.convert.hf.read import open_folder
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.labelled.batches import LabelledCollater
from fairseq_xalign.labelled.pairs import Pairs, longest_first
from fairseq_xalign.labelled.registry import KINDS, TASKS, kind_of
from fairseq_xalign.models.heads import MMTEClassificationHead
from fairseq_xalign.tokenizer.framing import FRAMES, pair_frame_of
from preprocess.__main__ import main as preprocess
from tests.support.foreign_models import real_encoder, write_bert, write_xlmr
from tests.support.leaving import CLASSIFIER, MMTE, checkpoint, randomized
from tests.support.small_tokenizers import LINES

transformers = pytest.importorskip("transformers")

PAIRED = {**CLASSIFIER, "task": "pairs", "labelled": "pairs", "max_length": 24}
TEXTS = [(LINES[0], LINES[1]), (LINES[2], "a"), (" ".join(LINES[:4]), LINES[5]), (LINES[5], " ".join(LINES[:5])),
         (" ".join(LINES[:4]), " ".join(LINES[4:9]))]  # fmt: skip


class Characters:
    """A tokenizer whose ids are numbers of letters, from 5."""

    def encode(self, text):
        return [5 + ord(letter) % 32 for letter in text if letter != " "]


def with_template(folder):
    """Give a folder's tokenizer the template of XLM-R's, as its makers publish it."""
    file = folder / "tokenizer.json"
    begin, end = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    template = {"type": "TemplateProcessing", "single": [begin, first, end]}
    template["pair"] = [begin, first, end, end, second, end]
    ids = {"<s>": 0, "</s>": 2}
    template["special_tokens"] = {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in ids.items()}
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "post_processor": template}), "utf-8")


def foreign_checkpoint(folder, path, **head):
    """A checkpoint of pairs whose encoder was converted from a folder of transformers, with a random head."""
    state = open_folder(folder)
    task = state["task_state"] | {**PAIRED, "head_dropout": 0.1, "train_languages": ["en"], **head}
    task["pair"] = pair_frame_of(task).pair_settings()
    width = task["encoder"]["width"]
    weights = randomized(KINDS["pairs"].build_head(width, task), 2)
    state["model"] |= {f"heads.pairs.{name}": value for name, value in weights.items()}
    torch.save({"args": None, "cfg": {}, **state, "task_state": task}, path)
    return path


def compare_with_transformers(path, out, texts, limit):
    """The probabilities of ``load_classifier`` and of the written folder, on texts of which some must be cut."""
    to_hf(path, out)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    with pytest.warns(UserWarning, match="pairs cut to"):
        found = fairseq_xalign.load_classifier(path, device="cpu").predict(texts)
    for (first, second), ours in zip(texts, found):
        inputs = tokenizer(first, second, truncation="longest_first", max_length=limit, return_tensors="pt")
        with torch.no_grad():
            theirs = model(**inputs).logits[0].softmax(-1).numpy()
        np.testing.assert_allclose(ours.probabilities, theirs, atol=1e-5)
    assert len({one.probabilities.tobytes() for one in found}) == len(texts)


@pytest.mark.parametrize("name", ["bert", "bert with the tokenizer of xlm-r", "xlm-roberta"])
def test_converted_encoders_join_pairs_as_their_makers_do_and_score_them_alike(name, tmp_path):
    folder = tmp_path / "in"
    if name == "xlm-roberta":
        write_xlmr(folder)
    else:
        write_bert(folder, words="wordpiece" if name == "bert" else "xlmr")
    if name != "bert":
        with_template(folder)
    path = foreign_checkpoint(folder, tmp_path / "c.pt")
    stored = torch.load(path, weights_only=False)["task_state"]["pair"]
    assert stored == ({"separator": [EOS], "segments": True} if name == "bert"
                      else {"separator": [EOS, EOS], "segments": False})  # fmt: skip
    compare_with_transformers(path, tmp_path / "out", TEXTS, 24)


@pytest.mark.parametrize("name", ["minilm", "e5"])
def test_real_encoders_score_pairs_as_transformers_does(name, tmp_path):
    path = foreign_checkpoint(real_encoder(name), tmp_path / "c.pt", max_length=40)
    compare_with_transformers(path, tmp_path / "out", TEXTS, 40)


@pytest.mark.parametrize(("frame", "shape"), [("s", {}), ("s", {"n_segments": 2}), ("eos", MMTE)])
def test_our_own_encoders_score_pairs_alike_there(frame, shape, tmp_path):
    if frame == "eos":  # their head reads the first token, which is no symbol here
        with pytest.raises(UserError, match="cls"):
            checkpoint(tmp_path / "c.pt", frame=frame, head={**PAIRED, "pair": FRAMES[frame].pair_settings()}, **shape)
        return
    head = {**PAIRED, "pair": FRAMES[frame].pair_settings()}
    compare_with_transformers(checkpoint(tmp_path / "c.pt", head=head, **shape), tmp_path / "out", TEXTS, 24)


@pytest.mark.parametrize("room", range(2, 15))
def test_the_longer_text_is_cut_as_the_library_tokenizers_cuts_it(room):
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(room, strategy="longest_first")
    for first in range(9):
        for second in range(9):
            ids = tokenizer.encode("a " * first, "b " * second).ids
            assert longest_first(first, second, room) == (ids.count(0), ids.count(1))


def test_segments_begin_after_the_separator_in_a_packed_batch():
    rows = [{"text": "ab", "text_pair": "c", "label": "x"}, {"text": "a", "text_pair": "", "label": "y"}]
    frame = replace(FRAMES["s"], separator=(EOS, EOS))
    encoded = Pairs().encode_framed(Characters(), rows, ["x", "y"], "en", 16, frame)
    sample = LabelledCollater([], Pairs(), {}, ["en"], frame).build(encoded.examples, ["en", "en"])
    packed = sample["streams"]["labelled"]
    assert packed["tokens"].tolist() == [BOS, 6, 7, EOS, EOS, 8, EOS, BOS, 6, EOS, EOS, EOS]
    assert packed["segments"].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    assert packed["positions"].tolist() == [*range(7), *range(5)] and sample["labels"].tolist() == [0, 1]
    without = LabelledCollater([], Pairs(), {}, ["en"], replace(frame, segments=False))
    assert without.build(encoded.examples, ["en", "en"])["streams"]["labelled"]["segments"] is None


def test_an_encoder_from_translation_gets_a_separator_that_it_has_never_read():
    state, options = {"input": "eos"}, SimpleNamespace(separator="makers")
    frame = Pairs().frame(state, options)
    assert frame.joined([7], [8]) == ([7, BOS, 8], 2) and Pairs().new_rows(state, frame) == (BOS,)
    assert Pairs().new_rows({**state, "pair": frame.pair_settings()}, frame) == (), "it is read by now"
    frame = Pairs().frame(state, SimpleNamespace(separator="eos"))
    assert frame.joined([7], [8])[0] == [7, EOS, 8] and Pairs().new_rows(state, frame) == ()
    assert Pairs().new_rows({}, Pairs().frame({}, options)) == ()


def test_the_head_of_mmte_leaves_separators_out_of_the_maximum():
    torch.manual_seed(1)
    head = MMTEClassificationHead(8, 2, 0.0).eval()
    rows = [{"text": "ab", "text_pair": "c", "label": "x"}, {"text": "", "text_pair": "", "label": "x"}]
    encoded = Pairs().encode_framed(Characters(), rows, ["x"], "en", 16, FRAMES["s"])
    sample = LabelledCollater([], Pairs(), {}, ["en"]).build(encoded.examples, ["en", "en"])
    starts = sample["streams"]["labelled"]["starts"]
    features = torch.randn(int(starts[-1]), 8)
    before = Pairs().scores(head, lambda tokens: features, starts, sample)
    features[[0, 3, 5]] = 100.0  # <s> and both </s> of the first pair
    assert torch.equal(Pairs().scores(head, lambda tokens: features, starts, sample), before)
    features[1] = 100.0
    assert not torch.equal(Pairs().scores(head, lambda tokens: features, starts, sample)[0], before[0])


def test_a_text_has_no_splits(tmp_path, capsys):
    text = tmp_path / "text"
    text.write_text("a\tb\n", "utf-8")
    command = ["predict", "--checkpoint", "none.pt", "--text", str(text), "--split", "test"]
    assert evaluate([*command, "--output", str(tmp_path / "out")]) == 1
    assert "--split is for --data" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_pairs_are_predicted_from_text_and_scored(tmp_path, capsys):
    path = checkpoint(tmp_path / "c.pt", head={**PAIRED, "pair": FRAMES["s"].pair_settings()})
    text, out, gold = tmp_path / "text", tmp_path / "out.jsonl", tmp_path / "gold.tsv"
    text.write_text("".join(f"{first}\t{second}\n" for first, second in TEXTS), "utf-8")
    assert evaluate(["predict", "--checkpoint", str(path), "--text", str(text), "--output", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(line["text"], line["text_pair"]) for line in lines] == TEXTS
    assert {(line["task"], line["language"]) for line in lines} == {("pairs", "und")}
    with pytest.warns(UserWarning, match="pairs cut"):
        found = fairseq_xalign.load_classifier(path).predict([list(pair) for pair in TEXTS])
    assert [one.label for one in found] == [line["prediction"] for line in lines]
    gold.write_text("".join(f"{line['prediction']}\n" for line in lines), "utf-8")
    score = ["score", "--task", "pairs", "--predictions", str(out), "--gold", str(gold), "--json"]
    capsys.readouterr()
    assert evaluate(score) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert next(iter(scores.values()))["accuracy"] == 100


def test_what_is_no_pair_is_refused_with_its_place(tmp_path, capsys):
    path = checkpoint(tmp_path / "c.pt", head={**PAIRED, "pair": FRAMES["s"].pair_settings()})
    text = tmp_path / "text"
    text.write_text("one\ttwo\nalone\n", "utf-8")
    assert evaluate(["predict", "--checkpoint", str(path), "--text", str(text), "--output", str(tmp_path / "o")]) == 1
    assert f"{text}:2: 1 columns instead of 2" in capsys.readouterr().err and not (tmp_path / "o").exists()
    model = fairseq_xalign.load_classifier(path)
    with pytest.raises(UserError, match="texts is not a pair of texts, and this model labels pairs"):
        model.predict("alone")
    with pytest.raises(UserError, match=r"texts\[1\] is not a pair"):
        model.predict([("a", "b"), "alone"])
    assert model.predict(("a", "b")).label in model.labels
    with pytest.raises(UserError, match="a sequence of 4 subwords has no room for two texts. Give --max-length 5"):
        Pairs().encode_framed(Characters(), [], [], "en", 4, FRAMES["s"])
    for bad, message in (("a\tb\n", "2 columns instead of 3"), ("a\t\tx\n", "an empty column")):
        (tmp_path / "test.en.tsv").write_text(f"a\tb\tx\n{bad}", "utf-8")
        assert preprocess(["benchmark", "pairs", "--from", str(tmp_path), "--output", str(tmp_path / "L")]) == 1
        assert f"test.en.tsv:2: {message}" in capsys.readouterr().err


def test_pairs_are_a_task_of_their_own_that_xling_classification_trains():
    assert kind_of("pairs").training_task == "xling_classification" and TASKS["pairs"].metrics([("a", "b")])[0].name


@pytest.mark.parametrize(
    ("kind", "whole", "expected"),
    [
        ("wordpiece", None, ((EOS,), True)),
        ("sentencepiece", None, ((EOS, EOS), False)),
        ("tokenizers", {"model": {"type": "Unigram"}}, ((EOS, EOS), False)),
        ("tokenizers", {"model": {"type": "WordPiece"}, "post_processor": None}, ((EOS,), True)),
        ("tokenizers", {"model": {"type": "BPE"}, "post_processor": {"type": "RobertaProcessing"}},
         ((EOS, EOS), False)),
        ("tokenizers", {"model": {"type": "BPE"}, "post_processor": {"type": "ByteLevel"}}, ((EOS, EOS), False)),
        ("tokenizers", {"model": {"type": "BPE"}, "post_processor": {"type": "Sequence", "processors": [
            {"type": "ByteLevel"}, {"type": "BertProcessing"}]}}, ((EOS,), True)),
    ],
)  # fmt: skip
def test_the_separator_is_the_makers_whatever_their_files_say_of_it(kind, whole, expected):
    tokenizer = {"kind": kind, "model_bytes": json.dumps(whole).encode()}
    frame = pair_frame_of({"foreign": {}, "tokenizer": tokenizer})
    assert (frame.separator, frame.segments) == expected
    assert pair_frame_of({"tokenizer": tokenizer}) == FRAMES["s"]


def test_gold_labels_that_the_model_does_not_know_are_counted_and_stay_in_the_predictions(tmp_path, capsys):
    path = checkpoint(tmp_path / "c.pt", head={**PAIRED, "pair": FRAMES["s"].pair_settings()})
    (tmp_path / "test.en.tsv").write_text("a\tb\tgood\na\tc\tbetter\nb\tc\tbest\nc\td\tbest\n", "utf-8")
    assert preprocess(["benchmark", "pairs", "--from", str(tmp_path), "--output", str(tmp_path / "L")]) == 0
    out = tmp_path / "out.jsonl"
    arguments = ["predict", "--checkpoint", str(path), "--data", str(tmp_path / "L"), "--output", str(out)]
    capsys.readouterr()
    assert evaluate(arguments) == 0
    said = capsys.readouterr().err
    assert "gold labels 'best', which the model does not know and never predicts: 2" in said
    assert "gold labels 'better', which the model does not know and never predicts: 1" in said and "'good'" not in said
    assert [json.loads(line)["gold"] for line in out.read_text("utf-8").splitlines()] == [
        "good", "better", "best", "best"]  # fmt: skip
    assert evaluate([*arguments, "--languages", "xx"]) == 1
    assert "no test examples in xx. The folder has test: en" in capsys.readouterr().err
