"""Does it learn? On a made-up language of which everything that can be known is known, with controls that must fail.

A sentence has some ten words, all from one of eight topics of six words. All words are equally frequent: a model that
knows only the language cannot get below log2 48 bits per hidden word (ENTROPY), one that sees the topic gets to log2 6.
"""

import math
import random
from pathlib import Path

import pytest

from tests.support.running import Run, pretrain, same_weights
from tests.tasks.conftest import run as preprocess

WORDS = [chr(code) for code in (*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("V") + 1))]
TOPICS = [WORDS[i : i + 6] for i in range(0, 48, 6)]
ENTROPY = math.log2(len(WORDS))
COMMON = ["--updates-per-epoch", 1000, "--clip-norm", 1.0, "--max-tokens", 2048, "--lr", "0.005", "--sample-break-mode",
          "eos", "--tlm-packing", "pairs"]  # fmt: skip
UPDATES = {"mlm": 60, "tlm": 80, "xlm": 60, "dict_mlm": 80}


def write_language(root: Path, topics: list[list[str]]) -> None:
    """``{split}.en`` and its transliteration ``{split}.xx``, with a vocabulary of one piece a word and a character."""
    rng = random.Random(1)
    for split, count in (("train", 2000), ("valid", 200)):
        lines = [" ".join(rng.choices(rng.choice(topics), k=rng.randint(8, 12))) for _ in range(count)]
        (root / f"{split}.en").write_text("\n".join(lines) + "\n", "utf-8")
    preprocess("subword", "--input", f"en={root}/train.en", "--vocab-size", 2 * len(WORDS) + 1, "--model-type", "bpe",
               "--output", root / "sub")  # fmt: skip
    for split in ("train", "valid"):
        preprocess("derive", "--transform", "trans", "--subword", root / "sub", "--output-subword", root / "doubled",
                   "--format", "text", "--input", root / f"{split}.en", "--output", root / f"{split}.xx")  # fmt: skip


def binarize(root: Path, name: str, translation: str = "xx", dictionary: str | None = None) -> Path:
    """A data folder with ``{split}.{translation}`` as the other side of the bitext, in training and in validation."""
    for split in ("train", "valid"):
        options = ["--dictionary", f"en-xx={root}/{dictionary}"] if dictionary and split == "train" else []
        preprocess("binarize", "--subword", root / "doubled", "--split", split, "--output", root / name, "--workers", 1,
                   "--mono", f"en={root}/{split}.en", "--mono", f"xx={root}/{split}.xx",
                   "--bitext", f"en-xx={root}/{split}.en,{root}/{split}.{translation}", *options)  # fmt: skip
    return root / name


@pytest.fixture(scope="module")
def with_topics(tmp_path_factory) -> dict[str, Path]:
    """Data with the dictionary of all words, and with one whose every entry is the translation of another word."""
    root = tmp_path_factory.mktemp("topics")
    write_language(root, TOPICS)
    preprocess("dictionary", "--derived", root / "doubled", "--share", 0.5, "--choose", "frequent", "--text",
               root / "train.en", "--source", "en", "--target", "xx", "--output", root / "right.tsv")  # fmt: skip
    header, *rows = (root / "right.tsv").read_text("utf-8").splitlines()
    assert len(rows) == len(WORDS)
    entries = [row.split("\t") for row in rows]
    wrong = [f"{own[0]}\t{next_[1]}\t{own[2]}" for own, next_ in zip(entries, entries[1:] + entries[:1])]
    (root / "wrong.tsv").write_text("\n".join([header, *wrong]) + "\n", "utf-8")
    return {name: binarize(root, name, dictionary=f"{name}.tsv") for name in ("right", "wrong")}


@pytest.fixture(scope="module")
def without_topics(tmp_path_factory) -> dict[str, Path]:
    """Every word is drawn from all: a text tells nothing of its hidden words, only its translation does."""
    root = tmp_path_factory.mktemp("random")
    write_language(root, [WORDS])
    for split in ("train", "valid"):
        lines = (root / f"{split}.xx").read_text("utf-8").splitlines()
        random.Random(1).shuffle(lines)
        (root / f"{split}.mismatched").write_text("\n".join(lines) + "\n", "utf-8")
    return {"right": binarize(root, "right"), "mismatched": binarize(root, "mismatched", "mismatched")}


@pytest.fixture(scope="module")
def learned(with_topics, tmp_path_factory):
    """``get(criterion) -> Run`` on topics with the right dictionary, each made when first asked for."""
    runs: dict[str, Run] = {}

    def get(criterion: str) -> Run:
        if criterion not in runs:
            folder = tmp_path_factory.mktemp(criterion)
            options = [*COMMON, "--tensorboard-logdir", folder / "board"] if criterion == "mlm" else COMMON
            runs[criterion] = done(pretrain(with_topics["right"], folder, criterion, UPDATES[criterion], *options))
        return runs[criterion]

    return get


def done(run: Run) -> Run:
    assert run.status == 0, run.text[-3000:]
    return run


def valid(run: Run, name: str = "loss") -> float:
    return float(run.records("valid")[-1][f"valid_{name}"])


# Of the hidden words a tenth stays as it is; DICT-MLM shows the translation of half, and so leaves 0.45 to be guessed.
@pytest.mark.parametrize(("criterion", "blind"), [("mlm", 0.9), ("tlm", 0.9), ("xlm", 0.9), ("dict_mlm", 0.45)])
def test_the_context_is_learned_not_only_the_frequencies(learned, criterion, blind):
    """Validation on other sentences is clearly below what the best model that looks at no context can reach."""
    losses = ["loss"] if criterion == "tlm" else ["loss", "loss_en", "loss_xx"]
    found = {name: valid(learned(criterion), name) for name in losses}
    assert max(found.values()) < 0.85 * blind * ENTROPY, found


def test_where_the_context_tells_nothing_nothing_is_learned_of_it(without_topics, tmp_path):
    """Control for MLM, with the same words equally frequent: a leak of the hidden words would show here."""
    run = done(pretrain(without_topics["right"], tmp_path, "mlm", UPDATES["mlm"], *COMMON))
    assert 0.88 * ENTROPY < valid(run) < 1.1 * ENTROPY


def test_tlm_reads_the_translation_and_gains_nothing_from_a_text_that_is_none(without_topics, tmp_path):
    options = [*COMMON, "--dropout", 0, "--mask-prob", "0.3"]
    found = {name: valid(done(pretrain(folder, tmp_path / name, "tlm", 150, *options)))
             for name, folder in without_topics.items()}  # fmt: skip
    assert found["right"] < 0.8 * ENTROPY, found
    assert found["mismatched"] > 0.88 * ENTROPY, found


def test_dict_mlm_aligns_words_by_a_right_dictionary_and_not_by_a_wrong_one(learned, with_topics, tmp_path):
    """Its loss does not tell them apart, since a wrong translation is as good a sign of its word as a right one."""
    wrong = done(pretrain(with_topics["wrong"], tmp_path, "dict_mlm", UPDATES["dict_mlm"], *COMMON))
    assert valid(learned("dict_mlm"), "alignment") > 10 and valid(wrong, "alignment") < 3  # chance: 1 in 97


# Starting from a checkpoint, stopping early, and what tensorboard gets


def test_pre_training_goes_on_from_another_objectives_weights(learned, with_topics, tmp_path):
    before = learned("mlm")
    still = [*COMMON, "--lr", "1e-12", "--finetune-from-model", before.save_dir / "checkpoint_last.pt"]
    run = done(pretrain(with_topics["right"], tmp_path / "on", "align_mlm", 1, *still))
    assert same_weights(run, before, tolerance=1e-9)
    assert run.checkpoint()["optimizer_history"][-1]["num_updates"] == 1
    assert valid(run, "mlm_loss") == pytest.approx(valid(before, "mlm_loss"), abs=2e-3)
    assert valid(run, "alignment") == valid(before, "alignment")
    afresh = done(pretrain(with_topics["right"], tmp_path / "afresh", "align_mlm", 1, *COMMON, "--lr", "1e-12"))
    assert not same_weights(afresh, before, tolerance=1e-2)


def test_early_stopping_ends_with_status_0_and_keeps_the_best_and_the_last_checkpoint(with_topics, tmp_path):
    """Asked for the largest loss, a run that learns has its best epoch first, and stops two epochs later."""
    options = [*COMMON, "--updates-per-epoch", 5, "--patience", 2, "--maximize-best-checkpoint-metric"]
    run = pretrain(with_topics["right"], tmp_path, "mlm", 40, *options)
    assert run.status == 0 and "early stop" in run.text, run.text[-2000:]
    losses = [float(record["valid_loss"]) for record in run.records("valid")]
    assert losses == sorted(losses, reverse=True) and len(run.losses()) == 15
    names = ("checkpoint_best.pt", "checkpoint_last.pt")
    assert [run.checkpoint(name)["optimizer_history"][-1]["num_updates"] for name in names] == [5, 15]


def test_tensorboard_gets_the_figures_of_the_log(learned):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = learned("mlm")
    for tag, name in (("train_inner", "train_inner"), ("valid", "valid")):
        board = events.EventAccumulator(str(run.save_dir.parent / "board" / name))
        board.Reload()
        for figure in ("loss", "mlm_loss"):
            key = figure if tag == "train_inner" else f"valid_{figure}"
            logged = {int(record.get("num_updates", record.get("valid_num_updates"))): float(record[key])
                      for record in run.records(tag)}  # fmt: skip
            shown = {scalar.step: scalar.value for scalar in board.Scalars(figure)}
            assert shown == pytest.approx(logged, abs=1e-3) and len(shown) == (UPDATES["mlm"] if tag != "valid" else 1)
