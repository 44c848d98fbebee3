"""Pairs of texts in real runs of ``fairseq-train --task xling_classification``, and in prediction."""

from __future__ import annotations

import json

import pytest
import torch

from fairseq_xalign.constants import BOS, EOS
from fairseq_xalign.evaluate.commands.predict import predict
from fairseq_xalign.labelled.labeller import load_labeller
from fairseq_xalign.models.checkpoint import read_checkpoint
from tests.support.running import finetune, pretrain
from tests.tasks.conftest import TEXT
from tests.tasks.conftest import run as preprocess

SHORT = 24
"""Letters of a text: what is learned here is whether two beginnings are equal."""


@pytest.fixture(scope="module")
def begin(data, tmp_path_factory):
    run = pretrain(data, tmp_path_factory.mktemp("begin"), "mlm", 2)
    assert run.status == 0, run.text[-2000:]
    return run.save_dir


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pairs whose label is whether the second text is "yes": each text alone says nothing of the other."""
    root = tmp_path_factory.mktemp("pairs")
    lines = [line[:SHORT].strip() for line in TEXT.read_text("utf-8").splitlines() if line.strip()]
    for split, part in (("train", lines[:160]), ("valid", lines[160:200])):
        rows = [f"{line}\t{('the end', 'no one')[i % 2]}\t{('end', 'one')[i % 2]}" for i, line in enumerate(part)]
        (root / f"{split}.en.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    preprocess("benchmark", "pairs", "--from", root, "--output", root / "LABELLED")
    return root / "LABELLED"


def test_pairs_are_learned_resumed_bit_for_bit_and_predicted_from_the_checkpoint_alone(folder, begin, tmp_path):
    whole = finetune(folder, begin, tmp_path / "whole", "classification", 40, "--pooling", "max", "--lr", 0.005)
    assert whole.status == 0, whole.text[-2000:]
    assert "pair" in whole.checkpoint()["task_state"] and whole.checkpoint()["task_state"]["task"] == "pairs"
    assert max(float(record["valid_accuracy"]) for record in whole.records("valid")) > 90
    predicted = list(predict(whole.save_dir, data=folder, split="valid", device="cpu"))
    assert sum(line["prediction"] == line["gold"] for line in predicted) > 0.9 * len(predicted)
    options = ("--pooling", "max", "--lr", 0.005)
    first = finetune(folder, begin, tmp_path / "cut", "classification", 3, *options)
    second = finetune(folder, begin, tmp_path / "cut", "classification", 6, *options)
    assert first.losses() + second.losses() == whole.losses()[:6]


def test_an_encoder_from_translation_reads_pairs_with_a_new_separator(parallel, folder, tmp_path):
    translation = pretrain(parallel, tmp_path / "mnmt", "mnmt", 2)
    assert translation.status == 0, translation.text[-2000:]
    before = read_checkpoint(translation.save_dir / "checkpoint_last.pt")["model"]["encoder.embed_tokens.weight"]
    for separator, ids, kept in (("makers", [BOS], False), ("eos", [EOS], True)):
        run = finetune(folder, translation.save_dir, tmp_path / separator, "classification", 1, "--head", "mmte",
                       "--separator", separator, "--lr", 1e-9)  # fmt: skip
        assert run.status == 0, run.text[-2000:]
        state = run.checkpoint()
        assert state["task_state"]["pair"]["separator"] == ids and state["task_state"]["input"] == "eos"
        after = state["model"]["encoder.embed_tokens.weight"]
        torch.testing.assert_close(after[5:], before[5:], rtol=0, atol=1e-6)
        assert torch.allclose(after[BOS], before[BOS], atol=1e-6) == kept
        assert load_labeller(run.save_dir).frame.separator == tuple(ids)


def test_what_is_no_pair_is_refused_with_the_line(folder, begin, tmp_path):
    row = {"id": "1", "text": "a", "label": "end"}
    for name in ("labels.json", "valid.en.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "train.en.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    run = finetune(tmp_path, begin, tmp_path / "run", "classification", 1)
    assert run.status == 1 and "train.en.jsonl:1: not a pairs example: no 'text_pair'" in run.text


def test_translations_are_trained_on_with_code_switching_and_resumed_bit_for_bit(folder, begin, tmp_path):
    """The "translation" is the English text itself: what is tried is how rows, batches and checkpoints go together."""
    for name in ("labels.json", "train.en.jsonl", "valid.en.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    rows = [json.loads(line) for line in (folder / "train.en.jsonl").read_text("utf-8").splitlines()]
    rows = [*rows[:40], {**rows[40], "id": "999"}]
    (tmp_path / "train.xx.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    options = ("--train-languages", "xx", "--valid-languages", "en", "--code-switch", "en")
    whole = finetune(tmp_path, begin, tmp_path / "whole", "classification", 5, *options)
    assert whole.status == 0, whole.text[-2000:]
    assert "train xx: 1 row left out: en has no example with the same id" in whole.text
    assert "train xx: 80 rows in 80 sequences" in whole.text
    first = finetune(tmp_path, begin, tmp_path / "cut", "classification", 2, *options)
    second = finetune(tmp_path, begin, tmp_path / "cut", "classification", 5, *options)
    assert first.losses() + second.losses() == whole.losses()
    other = finetune(tmp_path, begin, tmp_path / "other", "classification", 1, "--code-switch", "en")
    assert other.status == 1 and "--code-switch en: only en is trained on" in other.text


def test_documents_are_read_to_their_first_200_pieces_and_other_texts_to_128_subwords(folder, begin, tmp_path):
    about = json.loads((folder / "labels.json").read_text("utf-8"))
    row = {"id": "1", "text": "word " * 300, "text_pair": "end", "label": "end"}
    for pieces, expected in ((None, 128), (200, 202)):
        place = tmp_path / str(pieces)
        place.mkdir()
        (place / "labels.json").write_text(json.dumps({**about, "pieces": pieces} if pieces else about), "utf-8")
        for split in ("train", "valid"):
            (place / f"{split}.en.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
        run = finetune(place, begin, place / "run", "classification", 1)
        assert run.status == 0, run.text[-2000:]
        task_state = run.checkpoint()["task_state"]
        assert task_state["max_length"] == min(expected, task_state["encoder"]["max_positions"])
        assert "1 row in 1 sequence, pairs cut: 1" in run.text
