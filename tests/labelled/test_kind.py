"""A kind is one object: the worked example of CONTRIBUTING.md, and a kind of another shape, go through every part."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.evaluate.report.results import Result
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from fairseq_xalign.labelled.batches import LabelledCollater
from fairseq_xalign.labelled.classification import Classification
from fairseq_xalign.labelled.folder import LabelledFolder
from fairseq_xalign.labelled.kind import Encoded, Example, Outcome
from fairseq_xalign.labelled.labeller import Labeller
from fairseq_xalign.labelled.registry import KINDS, TASKS
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from preprocess.__main__ import main as preprocess

ROOT = Path(__file__).parents[2]


class Characters:
    """A tokenizer whose ids are numbers of letters, from 5."""

    def encode(self, text):
        return [5 + ord(letter) % 32 for letter in text if letter != " "]


def worked_example():
    """The names that the code blocks of CONTRIBUTING.md's section define, and its text."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Adding a kind of labelled task")[2]
    names: dict = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    return names, text


def labeller(kind, labels, **options):
    torch.manual_seed(1)
    encoder = Encoder(EncoderConfig(vocab_size=40, layers=1, heads=2, width=8, ffn_width=16, max_positions=64)).eval()
    settings = {"labels": labels, "head_dropout": 0.0, **kind.head_settings(SimpleNamespace(**options))}
    head = kind.build_head(8, settings).eval()
    return Labeller(encoder, head, Characters(), kind, labels, ["en"], 64, kind.tasks[0].name)


def test_the_worked_example_of_contributing_works_in_every_command(tmp_path, monkeypatch, capsys):
    names, text = worked_example()
    names["test_title_and_text_are_separated_and_cut_together"]()
    listed = re.search(r"for kind in \((.*), Titled\(\)\)\}", text)
    known = [f"{type(kind).__name__}()" for kind in KINDS.values()]
    assert listed and listed[1].split(", ") == known, "the line is out of date"
    kind = names["Titled"]()
    monkeypatch.setitem(KINDS, "titled", kind)
    monkeypatch.setitem(TASKS, "titled", names["TITLED"])
    rows = [{"title": "On cats", "text": "They sleep", "label": "pets"}, {"title": "x", "text": "y", "label": "cars"}]
    (tmp_path / "test.en.json").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert preprocess(["benchmark", "titled", "--from", str(tmp_path), "--output", str(tmp_path / "LABELLED")]) == 0
    folder = LabelledFolder.open(tmp_path / "LABELLED")
    found = list(folder.rows("test", "en", known_labels=True))
    model = labeller(folder.kind, folder.labels, head="linear", pooling="mean", head_hidden=0)
    predictions = model.predict(model.encode(found, "en"), len(found), 100)
    lines = [{"id": row["id"], "task": "titled", **kind.line(row, p)} for row, p in zip(found, predictions)]
    assert [line["title"] for line in lines] == ["On cats", "x"] and set(predictions) <= {"cars", "pets"}
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    capsys.readouterr()
    assert evaluate(["score", "--task", "titled", "--predictions", str(tmp_path / "p.jsonl"), "--json"]) == 0
    right = sum(row["label"] == p for row, p in zip(found, predictions))
    scores = json.loads(capsys.readouterr().out)["scores"]["all"]
    assert scores["accuracy"] == 50.0 * right
    (row,) = group_over_seeds([Result("mlm", "en-de", "natural", "titled", 1, {"zs": scores})])
    assert row.metric == "accuracy"


class Span(Classification):
    """A kind of another shape: where an answer starts and ends in the text, with a head and a loss of its own."""

    name = "span"

    @dataclass
    class Options:
        scale: float = field(default=1.0, metadata={"help": "of the scores"})

    def head_settings(self, options):
        return {"scale": options.scale}

    def encode(self, tokenizer, rows, labels, language, limit):
        made = [Example(tokenizer.encode(r["text"]), [], list(r["span"]), i) for i, r in enumerate(rows)]
        return Encoded(language, made)

    def scored(self, example):
        return 1

    def build_head(self, width, settings):
        return nn.Linear(width, 2)

    def scores(self, head, read, starts, sample):
        return head(read(None))  # [T, 2]

    def outcome(self, scores, sample, label_smoothing=0.0):
        starts = sample["streams"]["labelled"]["starts"].long()
        losses, right = [], []
        for row, span in enumerate(sample["labels"].view(-1, 2)):
            inner = scores[starts[row] + 1 : starts[row + 1] - 1]  # [S - 2, 2]
            losses.append(nn.functional.cross_entropy(inner.T, span, reduction="sum"))
            right.append((inner.argmax(0) == span).all().float())
        return Outcome(torch.stack(losses), torch.stack(right), len(losses))

    def answers(self, scores, examples, labels):
        found, begin = [], 0
        for example in examples:
            inner = scores[begin + 1 : begin + 1 + len(example.ids)]
            found.append([inner.argmax(0).tolist()])
            begin += len(example.ids) + 2
        return found

    def prediction(self, parts):
        return parts[0][0]


def test_a_kind_with_start_and_end_and_its_own_loss_fits_batches_criterion_and_labeller():
    from fairseq_xalign.criterions.xling import XlingCriterion

    kind = Span()
    rows = [{"text": "abcd", "span": (1, 2)}, {"text": "ba", "span": (0, 1)}, {"text": "c", "span": (0, 0)}]
    model = labeller(kind, [], scale=1.0)
    encoded = model.encode(rows, "en")
    sample = LabelledCollater([], kind, {"en": 1}, ["de", "en"]).build(encoded.examples, ["en", "de", "en"])
    assert sample["of_language"].tolist() == [1, 0, 1] and sample["labels"].tolist() == [1, 2, 0, 1, 0, 0]
    task = SimpleNamespace(kind=kind, reported_languages=lambda: ["de", "en"])
    inner = SimpleNamespace(encoder=model.encoder, heads={"span": model.head})
    criterion = XlingCriterion(SimpleNamespace(label_smoothing=0.0), task)
    loss, size, logs = criterion(lambda use: use(inner), sample)
    assert size == 3 and logs["count_en"] == 2 and logs["count_de"] == 1
    assert logs["sum_loss_en"] + logs["sum_loss_de"] == pytest.approx(loss.item(), rel=1e-6)
    loss.backward()
    assert model.head.weight.grad.abs().sum() > 0
    whole, single = model.predict(encoded, 3, 1000), model.predict(encoded, 3, 1)
    assert whole == single and [len(p) for p in whole] == [2, 2, 2] and whole[2] == [0, 0]


def test_the_xling_tasks_are_those_of_the_kinds_with_the_options_of_their_heads():
    from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY

    from fairseq_xalign.tasks import xling

    assert {name for name in TASK_REGISTRY if name.startswith("xling_")} == {
        kind.training_task for kind in KINDS.values()
    }
    tagging, classification = (TASK_DATACLASS_REGISTRY[f"xling_{name}"]() for name in ("tagging", "classification"))
    assert not hasattr(tagging, "pooling") and classification.head_hidden == 0
    assert [str(choice.value) for choice in type(classification).__dataclass_fields__["pooling"].type] == [
        "cls",
        "mean",
        "max",
    ]
    made = xling.config_class(Span())
    assert made().scale == 1.0 and made.__dataclass_fields__["scale"].metadata["help"] == "of the scores"
