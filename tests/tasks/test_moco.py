"""Momentum contrast in real runs of ``fairseq-train``: resumed, on workers, validated, filled once, refused."""

import re

import pytest
import torch

from tests.support.running import (
    Run,
    finish,
    free_port,
    pretrain,
    pretrain_two_workers,
    same_optimizer,
    same_weights,
    start,
)
from tests.tasks.conftest import run as preprocess
from tests.tasks.test_other_commands import OURS, fairseq

QUEUE, END, SAVED = 37, 8, 5
"""A queue that no number of pairs divides, so that it wraps at different slots."""
PPA = ["--criterion", "ppa", "--moco-queue", QUEUE, "--moco-width", 16, "--moco-momentum", "0.9", "--moco-pooling",
       "mean", "--updates-per-epoch", 100, "--batch-size", 7]  # fmt: skip
FOUR = [*PPA, "--update-freq", 4, "--dropout", "0.1"]


def done(run: Run) -> Run:
    assert run.status == 0, run.text[-3000:]
    return run


def owned(run: Run) -> dict[str, torch.Tensor]:
    beginning = "objectives.moco."
    model = run.checkpoint()["model"]
    return {name.removeprefix(beginning): value for name, value in model.items() if name.startswith(beginning)}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Run:
    return done(pretrain(data, tmp_path_factory.mktemp("whole"), "mlm", END, *FOUR))


def test_one_step_an_update_whatever_the_number_of_micro_batches(whole):
    own = owned(whole)
    assert int(own["steps"]) == END and int(own["queue.filled"]) == QUEUE
    assert "moco: the queue holds 37 keys" in whole.text
    assert {"moco_loss", "moco_accuracy", "moco_duplicates", "tlm_loss"} <= whole.records("train_inner")[0].keys()


def test_a_run_that_is_killed_while_the_queue_wraps_is_resumed_bit_for_bit(data, tmp_path, whole):
    """Saved in the middle of an epoch, killed two updates later, and resumed from what was saved."""
    saving = [*FOUR, "--save-interval-updates", SAVED]
    process = start(data, tmp_path, "mlm", END, *saving, kill_at=SAVED + 2)
    assert finish(process, tmp_path).status == -9
    saved = torch.load(next((tmp_path / "checkpoints").glob(f"*_{SAVED}.pt")), weights_only=False)["model"]
    assert 0 < int(saved["objectives.moco.queue.pointer"]) < QUEUE and int(saved["objectives.moco.steps"]) == SAVED
    second = done(pretrain(data, tmp_path, "mlm", END, *saving))
    assert "filling the queue" not in second.text, "once, and never again"
    assert second.losses() == whole.losses()[SAVED:]
    assert same_weights(second, whole) and same_optimizer(second, whole)


def test_two_workers_equal_one_with_twice_the_micro_batches(data, tmp_path):
    """The queue, its place and the key encoder; batches hold different numbers of pairs."""
    options = [*PPA, "--optimizer", "sgd", "--lr", "0.1", "--max-tokens", 200]
    one = done(pretrain(data, tmp_path / "one", "mlm", SAVED, *options, "--update-freq", 4))
    two = pretrain_two_workers(data, tmp_path / "two", "mlm", SAVED, *options, "--update-freq", 2)
    assert [r.status for r in two] == [0, 0], two[0].text[-3000:]
    assert two[0].losses() == pytest.approx(one.losses(), abs=2e-3)
    assert same_weights(one, two[0], tolerance=1e-4)
    assert torch.equal(owned(one)["queue.texts"], owned(two[0])["queue.texts"])
    assert torch.equal(owned(one)["queue.pointer"], owned(two[0])["queue.pointer"])


def test_validation_changes_nothing(data, tmp_path, whole):
    run = done(pretrain(data, tmp_path, "mlm", END, *FOUR, "--validate-interval-updates", 1))
    found = run.records("valid")[-1]
    assert {"valid_moco_loss", "valid_moco_accuracy", "valid_tlm_loss"} <= found.keys()
    assert len(run.records("valid")) > len(whole.records("valid")) and same_weights(run, whole)


@pytest.mark.parametrize(
    ("options", "with_moco", "with_tlm"),
    [
        (["--moco-weight", 0], False, True),
        (["--tlm-weight", 0], True, False),
        (["--tlm-sides", "apart"], True, True),
        (["--moco-queue-init", "gaussian", "--moco-normalize", "z", "--moco-mask-duplicates"], True, True),
        (["--moco-mask-tokens", "--moco-key-eval"], True, True),
        (["--batch-size", 1], True, True),
    ],
    ids=["- MoCo", "- TLM", "MLM for TLM", "gaussian", "hidden tokens", "one pair"],
)
def test_variations_run_by_one_flag_each(data, tmp_path, options, with_moco, with_tlm):
    run = done(pretrain(data, tmp_path, "mlm", 2, *PPA, *options))
    figures = run.records("train_inner")[0].keys()
    assert ("moco_loss" in figures, "tlm_loss" in figures) == (with_moco, with_tlm)
    assert bool(owned(run)) == with_moco


def test_a_new_run_from_a_checkpoint_of_moco_begins_with_a_key_encoder_and_a_queue_of_its_own(data, tmp_path, whole):
    last = whole.save_dir / "checkpoint_last.pt"
    run = done(pretrain(data, tmp_path, "mlm", 1, *PPA, "--moco-queue", 20, "--lr", "1e-12",
                        "--finetune-from-model", last))  # fmt: skip
    own, model = owned(run), whole.checkpoint()["model"]
    assert len(own["queue.keys"]) == 20 and int(own["steps"]) == 1 and "filling the queue" in run.text
    name = "layers.0.qkv.weight"
    assert torch.allclose(own[f"key_encoder.{name}"], model[f"encoder.{name}"], atol=1e-6)
    assert torch.allclose(own["head.out.weight"], model["objectives.moco.head.out.weight"], atol=1e-6)


def test_validate_finds_the_key_encoder_and_the_queue_of_the_checkpoint(data, tmp_path, whole):
    """fairseq-validate loads the weights before it makes the criterion."""
    arguments = [data, *OURS, "--task", "align_mlm", "--max-tokens", 512, "--path",
                 whole.save_dir / "checkpoint_last.pt", "--log-format", "json"]  # fmt: skip
    status, log = fairseq("validate", tmp_path / "log", *arguments)
    assert status == 0, log[-2000:]
    found = float(re.search(r'"valid_moco_loss": "?([0-9.]+)', log)[1])
    assert found == pytest.approx(float(whole.records("valid")[-1]["valid_moco_loss"]), abs=0.002) and found > 0


def both(data, folder, updates, *options, kill_at=-1):
    """Two workers in ``folder``, each killed in the middle of update ``kill_at``."""
    shared = ["--distributed-backend", "gloo", "--distributed-world-size", 2, "--distributed-no-spawn",
              "--ddp-backend", "legacy_ddp", "--distributed-init-method", f"tcp://127.0.0.1:{free_port()}"]  # fmt: skip
    group = [start(data, folder, "mlm", updates, *options, *shared, "--distributed-rank", rank, rank=rank,
                   kill_at=kill_at) for rank in (0, 1)]  # fmt: skip
    return [finish(process, folder, rank) for rank, process in enumerate(group)]


def test_two_workers_that_are_killed_are_resumed_bit_for_bit(data, tmp_path):
    options = [*FOUR, "--save-interval-updates", 3]
    whole = both(data, tmp_path / "whole", 6, *options)
    killed = both(data, tmp_path / "killed", 6, *options, kill_at=5)
    assert [run.status for run in killed] == [-9, -9]
    second = both(data, tmp_path / "killed", 6, *options)
    assert [run.status for run in (*whole, *second)] == [0] * 4, second[0].text[-2000:]
    assert second[0].losses() == whole[0].losses()[3:]
    assert same_weights(second[0], whole[0]) and same_optimizer(second[0], whole[0])


# Refused before training


def refused(run: Run, message: str) -> None:
    assert run.status != 0 and message in run.text and "Traceback" not in run.text, run.text[-2000:]
    assert not run.records("train_inner")


def test_a_queue_larger_than_the_bitext_is_refused(data, tmp_path):
    refused(pretrain(data, tmp_path, "mlm", 1, "--criterion", "ppa"), "--moco-queue 32000 is not less than the ")


@pytest.mark.parametrize("criterion", ["ppa", "tpp"])
def test_text_without_bitext_is_refused_as_such(data, criterion, tmp_path):
    for split in ("train", "valid"):
        preprocess("binarize", "--subword", data, "--split", split, "--output", tmp_path / "DATA",
                   "--mono", f"en={data.parent}/{split}.en")  # fmt: skip
    run = pretrain(tmp_path / "DATA", tmp_path, "mlm", 1, "--criterion", criterion)
    refused(run, "no bitext train stream in this data folder")


def test_pairs_that_are_left_out_do_not_count_for_the_queue(data, tmp_path):
    options = [*PPA, "--tokens-per-sample", 110]
    fits = done(pretrain(data, tmp_path / "fits", "mlm", 1, *options, "--moco-queue", 1))
    found = re.search(r"train bitext/en-xx: ([\d,]+) units, left out: ([\d,]+) pairs over --tokens", fits.text)
    pairs, left_out = (int(count.replace(",", "")) for count in found.groups())
    run = pretrain(data, tmp_path / "refused", "mlm", 1, *options, "--moco-queue", pairs - left_out)
    assert left_out > 0
    refused(run, f"--moco-queue {pairs - left_out} is not less than the {pairs - left_out} pairs of training bitext")


@pytest.mark.parametrize("objectives", ["moco,mlm", "mlm,moco"])
def test_beside_text_of_another_kind_a_mixture_is_the_weighted_sum_of_means(data, tmp_path, objectives):
    """Batches of pairs alone and of text alone would add numbers of pairs to numbers of tokens."""
    options = [*FOUR, "--criterion", "xalign", "--objectives", objectives, "--update-freq", 4, "--max-tokens", 2000]
    run = done(pretrain(data, tmp_path, "mlm", 3, *options))
    for record in run.records("train_inner"):
        parts = (float(record["moco_loss"]), float(record["mlm_loss"]))
        assert float(record["loss"]) == pytest.approx(sum(parts), rel=0.03), "weights of 1, whatever is listed first"


def test_a_checkpoint_without_a_key_encoder_cannot_be_resumed_with_moco(data, tmp_path):
    done(pretrain(data, tmp_path, "mlm", 1, "--criterion", "xalign", "--objectives", "tlm"))
    run = pretrain(data, tmp_path, "mlm", 2, "--criterion", "xalign", "--objectives", "tlm,moco", "--moco-queue", 9)
    refused(run, "holds nothing of moco, which cannot be made up for when a run is resumed. Begin a new run")


def test_a_run_is_not_resumed_with_another_queue(data, tmp_path, whole):
    run = pretrain(data, tmp_path, "mlm", END, *FOUR, "--moco-queue", 20, "--restore-file",
                   whole.save_dir / "checkpoint_last.pt")  # fmt: skip
    refused(run, "objectives.moco.queue.keys has shape (37, 16) in the checkpoint, (20, 16) here")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("tlm", ["tlm,weam"], "objective 'weam' has other weights: objectives.weam."),
        ("tlm,weam", ["tlm"], "objective 'weam' has other weights: objectives.weam."),
        ("tlm,weam", ["tlm,weam", "--weam-head", "bert"], "objective 'weam' has other weights: objectives.weam."),
        ("tpp", ["tpp", "--tpp-head", "pooler"], "objective 'tpp' has other weights: objectives.tpp.pooler.bias"),
        (
            "moco",
            ["moco", "--moco-projection-bias"],
            "objective 'moco' has other weights: objectives.moco.head.hidden.",
        ),
        ("moco", ["moco", "--moco-normalize", "z"], "--moco-normalize z: what moco remembers there was made with"),
        ("moco", ["moco", "--moco-pooling", "mean"], "--moco-pooling mean: what moco remembers there was made with"),
    ],
)
def test_a_run_is_not_resumed_with_weights_that_its_optimizer_does_not_know(linked, before, after, said, tmp_path):
    """Adam's moments belong to weights by their place alone: those of one would be taken for those of another."""
    options = ["--criterion", "xalign", "--batch-size", 4, *(["--moco-queue", 9] if before == "moco" else [])]
    options += ["--objectives"]
    done(pretrain(linked, tmp_path, "mlm", 1, *options, before))
    refused(pretrain(linked, tmp_path, "mlm", 2, *options, *after), said)


def test_weights_of_objectives_come_and_go_where_the_optimizer_is_reset(linked, tmp_path):
    options = ["--criterion", "xalign", "--batch-size", 4, "--reset-optimizer", "--reset-dataloader"]
    for updates, objectives in ((1, "tlm"), (2, "tlm,weam"), (3, "tlm")):
        done(pretrain(linked, tmp_path, "mlm", updates, *options, "--objectives", objectives))


def test_language_embeddings_are_not_in_the_paper(data, tmp_path):
    run = pretrain(data, tmp_path, "mlm", 1, *PPA, "--language-embeddings")
    refused(run, "--criterion ppa has no language embeddings in its paper")


def test_translations_that_were_never_seen_come_to_recognise_each_other(data, tmp_path):
    """By chance, one query in 38 does."""
    options = ["--moco-normalize", "z", "--moco-temperature", "0.1", "--tlm-weight", 0, "--lr", "0.003", "--batch-size",
               32, "--max-tokens", 9000, "--tokens-per-sample", 512, "--dropout", 0]  # fmt: skip
    run = done(pretrain(data, tmp_path, "mlm", 120, *PPA, *options))
    assert float(run.records("valid")[-1]["valid_moco_accuracy"]) > 0.4
