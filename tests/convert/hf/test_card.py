"""The model card: metadata that is YAML, code that runs, and tables that stay whole; test_to_hf.py has the rest."""

from __future__ import annotations

import re

import pytest
import torch
import yaml

from fairseq_xalign.convert.commands.to_hf import to_hf
from tests.support.leaving import CLASSIFIER, TAGGER, checkpoint

pytest.importorskip("transformers")
PAIRS = {**CLASSIFIER, "task": "pairs", "labels": ["no", "yes"]}


def card_of(folder) -> str:
    return (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("head", "pipeline", "name"),
    [
        (None, "fill-mask", "model"),
        (TAGGER, "token-classification", "tagger"),
        (PAIRS, "text-classification", "classifier"),
    ],
    ids=["encoder", "tagger", "pairs"],
)
def test_its_metadata_is_yaml_and_its_code_runs(tmp_path, head, pipeline, name):
    to_hf(checkpoint(tmp_path / "c.pt", head=head), tmp_path / "out")
    card = card_of(tmp_path / "out")
    header = yaml.safe_load(card.split("---")[1])
    assert header == {"library_name": "transformers", "pipeline_tag": pipeline, "tags": ["fairseq_xalign"],
                      "language": ["en"], "language_bcp47": ["zh-TW"]}  # fmt: skip
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1].replace('"out"', repr(str(tmp_path / "out")))
    names: dict = {}
    exec(compile(code, "card", "exec"), names)
    assert name in names
    if head is TAGGER:
        assert {word["entity_group"] for word in names["tagger"]("the house")} <= {*TAGGER["labels"]}


def test_sentence_vectors_have_a_pipeline_and_an_example_of_their_own(tmp_path):
    to_hf(checkpoint(tmp_path / "c.pt"), tmp_path / "out", pooling="mean")
    card = card_of(tmp_path / "out")
    header = yaml.safe_load(card.split("---")[1])
    assert (header["library_name"], header["pipeline_tag"]) == ("sentence-transformers", "sentence-similarity")
    assert 'vectors = model.encode(["..."])  # mean over tokens' in card


def test_a_checkpoint_without_scores_says_so_and_no_value_breaks_a_table(tmp_path):
    path = checkpoint(tmp_path / "c.pt")
    state = torch.load(path, weights_only=False)
    state["extra_state"], state["cfg"]["task"]["data"] = {}, "A|B\nC"
    torch.save(state, path)
    to_hf(path, tmp_path / "out")
    card = card_of(tmp_path / "out")
    assert "The checkpoint holds none." in card and "| data | A\\|B C |" in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
