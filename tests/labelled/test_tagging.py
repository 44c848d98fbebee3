"""Tagging: every word is scored once, whatever its tag's number, its length and that of its sentence."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from fairseq_xalign.constants import EOS, PAD, UNK
from fairseq_xalign.evaluate.metrics.chunks import ChunkF1
from fairseq_xalign.evaluate.metrics.labels import TokenAccuracy
from fairseq_xalign.labelled.kind import Item
from fairseq_xalign.labelled.labeller import Labeller
from fairseq_xalign.labelled.registry import TASKS
from fairseq_xalign.labelled.tagging import Tagging, pos_rows
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from tests.support.public_data import public_files
from tests.support.samples import sentences, subword_folder

LABELS = ["B-LOC", "B-ORG", "B-PER", "I-LOC", "I-PER", "O"]
KIND = Tagging()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return subword_folder(tmp_path_factory.mktemp("subword"))


@pytest.fixture(scope="module")
def labeller(tokenizer):
    torch.manual_seed(1)
    config = EncoderConfig(vocab_size=len(tokenizer), layers=2, heads=2, width=32, ffn_width=64, max_positions=64)
    settings = {"labels": LABELS, "head_dropout": 0.0, "head": "linear"}
    head = KIND.build_head(32, settings)
    torch.nn.init.normal_(head.out.weight)
    return Labeller(Encoder(config).eval(), head.eval(), tokenizer, KIND, LABELS, ["en"], 32, "ner")


def rows(count, words=None):
    """Made-up sentences whose tags go through all labels in turn."""
    made = []
    for number, text in enumerate(sentences("en", count)):
        tokens = (text.split() * 200)[:words] if words else text.split()
        made.append(
            {"id": str(number), "tokens": tokens, "tags": [LABELS[(number + i) % 6] for i in range(len(tokens))]}
        )
    return made


def test_labels_whose_numbers_are_those_of_padding_and_other_symbols_count_like_any_other(labeller):
    assert {PAD, EOS, UNK} <= set(range(len(LABELS))), "numbers of tags that are ids of symbols, too"
    given = rows(7)
    encoded = labeller.encode(given, "en")
    right = total = 0.0
    for _, examples, scores in labeller.scored(encoded, 10_000):  # sentences of many lengths in one batch
        labels = torch.tensor([label for example in examples for label in example.labels])
        outcome = KIND.outcome(scores, {"labels": labels})
        assert outcome.size == len(labels) == sum(len(row["tags"]) for row in given)
        assert torch.allclose(outcome.losses, F.cross_entropy(scores, labels, reduction="none"))
        assert (outcome.losses > 0).all() and set(labels.tolist()) == set(range(len(LABELS)))
        right, total = outcome.right.sum().item(), len(labels)
    predicted = labeller.predict(encoded, len(given), 10_000)
    pairs = [(row["tags"], tags) for row, tags in zip(given, predicted)]
    assert TokenAccuracy().corpus(pairs) == pytest.approx(100 * right / total)
    one_by_one = [labeller.predict(labeller.encode([row], "en"), 1, 10_000)[0] for row in given]
    assert one_by_one == predicted, "what else is in a batch changes nothing"


def test_a_long_document_is_read_in_parts_and_every_word_has_one_tag(labeller):
    [document] = given = rows(1, words=400)
    encoded = labeller.encode(given, "en")
    assert len(encoded.examples) > 10 and max(len(e.ids) for e in encoded.examples) <= 30 and encoded.cut == 0
    assert [LABELS[label] for e in encoded.examples for label in e.labels] == document["tags"]
    [tags] = labeller.predict(encoded, 1, 10_000)
    assert len(tags) == 400
    [(labels, probabilities)] = labeller.probabilities(encoded, 1, 10_000)
    assert labels == tags and probabilities.shape == (400, len(LABELS))


def test_a_word_that_is_longer_than_the_limit_or_nothing_to_the_tokenizer_is_scored_too(labeller):
    tokens = ["the", "walking" * 40, "\u200b", "house"]
    encoded = labeller.encode([{"id": "1", "tokens": tokens, "tags": ["O", "B-PER", "O", "B-LOC"]}], "en")
    assert encoded.cut == 1 and sum(len(e.labels) for e in encoded.examples) == 4
    assert len(labeller.predict(encoded, 1, 10_000)[0]) == 4


def test_a_sentence_that_was_cut_has_its_last_entities_missed_and_is_not_left_out():
    gold = ["B-PER", "O", "B-LOC", "I-LOC"]
    item = KIND.checked_item(Item("1", "en", gold, ["B-PER", "O"]), TASKS["ner"])
    assert item.prediction == ["B-PER", "O", None, None] and KIND.counts([item])["missing"] == 2
    assert TokenAccuracy().corpus([item.pair]) == 50.0
    assert ChunkF1().corpus([item.pair]) == pytest.approx(200 / 3)


def test_the_options_of_the_head_are_what_a_checkpoint_holds():
    assert KIND.head_settings(SimpleNamespace(head="linear", crf=False)) == {"head": "linear"}
    assert KIND.head_settings(SimpleNamespace(head="mmte", crf=True)) == {"head": "mmte", "crf": True}


# Sentences and words, as the README of the data states them (release 2.8; Japanese: 2019-07-01).
TREEBANKS = {
    "UD_English-EWT/en_ewt-ud-dev": (2001, 25149),
    "UD_English-EWT/en_ewt-ud-test": (2077, 25097),
    "UD_Arabic-PUD/ar_pud-ud-test": (1000, 20747),
    "UD_Chinese-PUD/zh_pud-ud-test": (1000, 21415),
    "UD_English-PUD/en_pud-ud-test": (1000, 21180),
    "UD_French-PUD/fr_pud-ud-test": (1000, 24726),
    "UD_German-PUD/de_pud-ud-test": (1000, 21332),
    "UD_Hindi-PUD/hi_pud-ud-test": (1000, 23829),
    "UD_Indonesian-PUD/id_pud-ud-test": (1000, 19446),
    "UD_Italian-PUD/it_pud-ud-test": (1000, 23732),
    "UD_Japanese-PUD/ja_pud-ud-test": (1000, 26707),
    "UD_Russian-PUD/ru_pud-ud-test": (1000, 19355),
    "UD_Spanish-PUD/es_pud-ud-test": (1000, 23283),
    "UD_Turkish-PUD/tr_pud-ud-test": (1000, 16881),
}


@pytest.mark.parametrize("name", TREEBANKS)
def test_a_treebank_is_read_whole_and_multiword_tokens_and_empty_nodes_are_no_words(name):
    [path] = public_files(f"ud/{name}.conllu*")
    counts: Counter[str] = Counter()
    found = [row.row for row in pos_rows(Path(path), counts)]
    assert (len(found), sum(len(row["tags"]) for row in found)) == TREEBANKS[name]
    assert all(len(row["tokens"]) == len(row["tags"]) for row in found)
    assert len({row["id"] for row in found}) == len(found)
    if name.startswith(("UD_French", "UD_Italian")):
        assert counts["multiword ranges skipped"] > 500
