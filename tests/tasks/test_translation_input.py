"""Fine-tuning and prediction follow an encoder that comes from translation: ``x </s>``, without ``<s>``."""

from __future__ import annotations

import json

import pytest
import torch

from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.labelled.folder import LabelledFolder
from fairseq_xalign.labelled.labeller import load_labeller
from tests.support.running import finetune, pretrain


@pytest.fixture(scope="module")
def begin(data, tmp_path_factory):
    """A checkpoint of two updates that says that it reads ``x </s>``."""
    run = pretrain(data, tmp_path_factory.mktemp("begin"), "mlm", 2)
    assert run.status == 0, run.text[-2000:]
    state = run.checkpoint()
    state["task_state"]["input"] = "eos"
    torch.save(state, run.save_dir / "checkpoint_last.pt")
    (run.save_dir / "checkpoint_best.pt").unlink(missing_ok=True)
    return run.save_dir


@pytest.fixture(scope="module")
def tagger(labelled, begin, tmp_path_factory):
    run = finetune(labelled, begin, tmp_path_factory.mktemp("tagger"), "tagging", 4, "--max-length", 12)
    assert run.status == 0, run.text[-2000:]
    return run


def test_the_fine_tuned_checkpoint_says_so_and_predicts_so(tagger, labelled):
    assert tagger.checkpoint()["task_state"]["input"] == "eos"
    labeller = load_labeller(tagger.save_dir)
    rows = list(LabelledFolder.open(labelled).rows("test", "en"))[:3]
    encoded = labeller.encode(rows, "en")
    assert max(len(e.ids) for e in encoded.examples) == 11, "12 subwords with </s>"
    seen = []
    labeller.encoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    predictions = labeller.predict(encoded, 3, 1)
    assert [len(p) for p in predictions] == [len(row["tags"]) for row in rows]
    read = sorted(batch.tokens.tolist() for batch in seen)
    assert read == sorted([*e.ids, 2] for e in encoded.examples)


def test_the_tag_of_a_word_is_read_from_its_own_subword(tagger, labelled):
    labeller = load_labeller(tagger.save_dir)
    row = {"id": "1", "tokens": ["The", "state"], "tags": [None, None]}
    (example,) = labeller.encode([row], "en").examples
    read = []
    labeller.head.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    features = []
    labeller.encoder.register_forward_hook(lambda *arguments: features.append(arguments[-1]))
    labeller.predict(labeller.encode([row], "en"), 1, 100)
    assert example.heads[0] == 0
    assert torch.equal(read[0], features[0][example.heads])


def test_training_resumes_and_says_what_the_encoder_reads(tagger, labelled, begin, tmp_path, capsys):
    whole = finetune(labelled, begin, tmp_path / "whole", "tagging", 6, "--max-length", 12)
    finetune(labelled, begin, tmp_path / "cut", "tagging", 4, "--max-length", 12)
    second = finetune(labelled, begin, tmp_path / "cut", "tagging", 6, "--max-length", 12)
    assert second.losses() == whole.losses()[4:]
    assert evaluate(["info", str(second.save_dir), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input"] == "x </s>"


def test_pooling_the_first_token_is_refused_before_training(labelled, begin, tmp_path):
    texts = tmp_path / "LABELLED"
    texts.mkdir()
    for split in ("train", "valid"):
        rows = [{"id": str(i), "text": "a b" * i, "label": "xy"[i % 2]} for i in range(4)]
        (texts / f"{split}.en.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    description = {"format": 1, "task": "classification", "labels": ["x", "y"], "name": "classification"}
    (texts / "labels.json").write_text(json.dumps(description), "utf-8")
    run = finetune(texts, begin, tmp_path / "run", "classification", 2)
    assert run.status == 1
    assert "--pooling cls: this encoder comes from translation" in run.text.rstrip().splitlines()[-1]
    run = finetune(texts, begin, tmp_path / "run", "classification", 2, "--pooling", "max")
    assert run.status == 0, run.text[-2000:]


def test_a_translation_model_is_fine_tuned_without_its_decoder_and_without_conversion(parallel, labelled, tmp_path):
    model = pretrain(parallel, tmp_path / "mnmt", "mnmt", 2)
    assert model.status == 0, model.text[-2000:]
    options = ["--arch", "mmte_tiny_encoder", "--head", "mmte", "--freeze-encoder"]
    run = finetune(labelled, model.save_dir, tmp_path / "run", "tagging", 2, *options)
    assert run.status == 0, run.text[-2000:]
    state, before = run.checkpoint(), model.checkpoint()["model"]
    assert state["task_state"]["input"] == "eos" and not any(name.startswith("decoder.") for name in state["model"])
    encoder = {name: value for name, value in state["model"].items() if name.startswith("encoder.")}
    assert encoder and all(torch.equal(value, before[name]) for name, value in encoder.items())
