"""Translation under fairseq: it learns, resumes bit for bit, ignores how work is dealt out, and logs each direction."""

import shutil
import signal

import pytest
import torch

from fairseq_xalign.models.checkpoint import read_encoder
from tests.support.running import TRANSLATION, Run, pretrain, pretrain_two_workers, same_optimizer, same_weights, start
from tests.support.trainings import wait

SAVED, KILLED, END = 4, 5, 9
EPOCH = ["--updates-per-epoch", 6]


@pytest.fixture(scope="module")
def uninterrupted(parallel, tmp_path_factory):
    """One whole run per criterion, made when first asked for."""
    runs = {}

    def get(criterion):
        if criterion not in runs:
            folder = tmp_path_factory.mktemp("whole")
            runs[criterion] = pretrain(parallel, folder, criterion, END, *EPOCH)
            assert runs[criterion].status == 0, runs[criterion].text[-3000:]
        return runs[criterion]

    return get


@pytest.mark.parametrize("criterion", TRANSLATION)
def test_a_killed_and_resumed_run_equals_one_that_never_stopped_bit_for_bit(
    parallel, tmp_path, uninterrupted, criterion
):
    whole = uninterrupted(criterion)
    options = [*EPOCH, "--save-interval-updates", SAVED, "--keep-interval-updates", 1]
    killed = start(parallel, tmp_path, criterion, END, *options, kill_at=KILLED)
    assert wait(killed, 120) == -signal.SIGKILL
    first = Run(-signal.SIGKILL, tmp_path / "log.0", tmp_path / "checkpoints")
    second = pretrain(parallel, tmp_path, criterion, END, *EPOCH)
    assert second.status == 0, second.text[-3000:]
    assert first.losses()[:SAVED] + second.losses() == whole.losses()
    assert same_weights(second, whole) and same_optimizer(second, whole)


def test_a_schedule_of_temperatures_resumes_at_its_place(parallel, tmp_path):
    options = [*EPOCH, "--window-size", 40, "--sampling-temperature-schedule", "1:0,9:200"]
    whole = pretrain(parallel, tmp_path / "whole", "mnmt", END, *options)
    pretrain(parallel, tmp_path / "split", "mnmt", SAVED, *options)
    second = pretrain(parallel, tmp_path / "split", "mnmt", END, *options)
    assert second.status == 0 and same_weights(second, whole)
    shares = [float(whole.records("train")[-1][f"train_share_en_{name}"]) for name in ("de", "fr")]
    assert shares[0] + shares[1] == pytest.approx(50, abs=5)
    constant = pretrain(parallel, tmp_path / "constant", "mnmt", END, *EPOCH, "--window-size", 40,
                        "--sampling-temperature", 1)  # fmt: skip
    assert float(constant.records("train")[-1]["train_share_en_fr"]) < shares[1] - 5, "T rose to 9"
    changed = pretrain(parallel, tmp_path / "split", "mnmt", END + 1, *EPOCH, "--window-size", 40,
                       "--sampling-temperature-schedule", "1:0,9:300")  # fmt: skip
    assert changed.status == 1 and "--sampling-temperature-schedule was" in changed.text.splitlines()[-1]


@pytest.mark.parametrize("criterion", ["mnmt", "mnmt with mlm and tlm"])
def test_two_workers_equal_one_with_twice_the_micro_batches(parallel, tmp_path, criterion):
    plain = ["--optimizer", "sgd", "--lr", "0.5"]
    one = pretrain(parallel, tmp_path / "one", criterion, 3, "--update-freq", 2, *plain)
    two = pretrain_two_workers(parallel, tmp_path / "two", criterion, 3, *plain)
    assert one.status == 0 and [r.status for r in two] == [0, 0], two[0].text[-3000:]
    assert two[0].losses() == pytest.approx(one.losses(), abs=2e-3)
    assert same_weights(one, two[0], tolerance=1e-5)
    norms = [[float(r["gnorm"]) for r in run.records("train_inner")] for run in (one, two[0])]
    assert norms[0] == pytest.approx(norms[1], abs=2e-3)


def test_loader_processes_do_not_change_training(parallel, tmp_path, uninterrupted):
    run = pretrain(parallel, tmp_path, "mnmt", END, *EPOCH, "--num-workers", 2)
    assert run.status == 0 and same_weights(run, uninterrupted("mnmt"))


# Golden curves, as in test_align_mlm.py.
GOLDEN = {
    "mnmt": [6.896, 6.193, 5.466, 5.227, 5.088, 4.891, 4.584, 4.694, 4.628],
    "mnmt with mlm and tlm": [12.256, 11.49, 8.981, 9.635, 9.717, 9.609, 9.429, 9.446, 9.683],
    "mnmt separate": [6.894, 6.214, 5.452, 5.238, 5.089, 4.89, 4.592, 4.676, 4.606],
}


@pytest.mark.parametrize("criterion", GOLDEN)
def test_loss_curves_stay_as_they_were(uninterrupted, criterion):
    assert uninterrupted(criterion).losses() == pytest.approx(GOLDEN[criterion], abs=0.02)


def test_logs_tell_each_direction_and_what_was_drawn_of_it(uninterrupted):
    run = uninterrupted("mnmt with mlm and tlm")
    valid, inner, epoch = (run.records(tag)[-1] for tag in ("valid", "train_inner", "train"))
    directions = ["en_de", "de_en", "en_fr", "fr_en"]
    assert {f"valid_{figure}_{name}" for figure in ("loss", "ppl") for name in directions} <= valid.keys()
    assert {"valid_mlm_loss", "valid_tlm_ppl", "valid_nll_loss", "valid_ppl"} <= valid.keys()
    assert {"loss", "nll_loss", "ppl", "mlm_loss", "tlm_loss", "data_wait", "wps"} <= inner.keys()
    shares = [float(epoch[f"train_share_{name}"]) for name in directions]
    assert sum(shares) == pytest.approx(100, abs=0.05)
    assert shares[0] == pytest.approx(50 * 300**0.2 / (300**0.2 + 60**0.2), abs=3), "T = 5 over 300 and 60 pairs"
    each = [float(valid[f"valid_loss_{name}"]) for name in directions]
    assert min(each) <= float(valid["valid_nll_loss"]) <= max(each)
    assert float(valid["valid_ppl"]) == pytest.approx(2 ** float(valid["valid_nll_loss"]), rel=0.01)
    assert float(valid["valid_loss"]) > float(valid["valid_nll_loss"]), "smoothed"


def test_a_checkpoint_holds_what_translating_and_fine_tuning_take(uninterrupted):
    for criterion, token, frame in (("mnmt", "source", "eos"), ("mnmt with mlm and tlm", "source", "s"),
                                    ("mnmt separate", "separate", "eos")):  # fmt: skip
        encoder, tokenizer, state = read_encoder(uninterrupted(criterion).save_dir)
        assert (state["target_token"], state["input"]) == (token, frame)
        assert state["directions"] == ["en-de", "de-en", "en-fr", "fr-en"]
        assert state["languages"] == ["en", "de", "fr"] and state["decoder"]["vocab_size"] == len(tokenizer)
        assert encoder.config.vocab_size == len(tokenizer)


def test_a_direction_can_be_named_in_fairseqs_way(parallel, tmp_path):
    run = pretrain(parallel, tmp_path, "mnmt", 2, "-s", "de", "-t", "en")
    assert run.status == 0 and "train de-en: 300 pairs" in run.text and "en-de" not in run.text.split("train de-en")[1]


def test_the_best_checkpoint_may_be_that_of_one_direction(parallel, tmp_path):
    run = pretrain(parallel, tmp_path, "mnmt", 2, "--best-checkpoint-metric", "loss_de_en")
    assert run.status == 0, run.text[-2000:]
    wrong = pretrain(parallel, tmp_path, "mnmt", 4, "--best-checkpoint-metric", "loss_de_fr")
    assert wrong.status == 1 and "no such figure is measured" in wrong.text.splitlines()[-1]


def test_too_long_and_empty_pairs_are_reported(parallel, tmp_path):
    run = pretrain(parallel, tmp_path, "mnmt", 1, "--max-source-positions", 8, "--max-target-positions", 9)
    assert run.status == 0
    lines = [line for line in run.text.splitlines() if "over the limits of length" in line]
    assert any("train en-de: 300 pairs, " in line for line in lines)
    assert any("valid" in line for line in lines), "validation too"


def test_shards_are_read_as_one(parallel, tmp_path):
    shutil.copytree(parallel, tmp_path / "again")
    run = pretrain(f"{parallel}:{tmp_path}/again", tmp_path, "mnmt", 2)
    assert run.status == 0 and "train en-de: 600 pairs" in run.text and "valid en-de: 600 pairs" not in run.text


def test_translation_is_learned(parallel, tmp_path):
    """Every word of one language is one word of the other: sentences that were held out leave little doubt."""
    shape = ["--encoder-embed-dim", 64, "--encoder-ffn-embed-dim", 128, "--max-tokens", 1000]
    run = pretrain(parallel, tmp_path, "mnmt", 170, "--directions", "en-de", "--lr", 0.004, *shape)
    valid = run.records("valid")[-1]
    assert float(valid["valid_loss_en_de"]) < 0.7, run.text[-1500:]
    assert torch.isfinite(torch.tensor(run.losses())).all()


def test_two_workers_share_the_sentences_that_validation_translates(parallel, tmp_path):
    options = ["--eval-bleu", "--eval-bleu-sentences", 7, "--optimizer", "sgd", "--lr", "0.1", "--dropout", 0]
    one = pretrain(parallel, tmp_path / "one", "mnmt", 1, "--update-freq", 2, *options)
    two = pretrain_two_workers(parallel, tmp_path / "two", "mnmt", 1, *options)
    assert [one.status, *(r.status for r in two)] == [0, 0, 0], two[0].text[-3000:]
    names = ["valid_bleu", "valid_chrf", "valid_chrf_en_de", "valid_chrf_fr_en"]
    values = [[float(run.records("valid")[-1][name]) for name in names] for run in (one, two[0])]
    assert values[0] == pytest.approx(values[1], abs=0.02) and values[0][1] > 0
