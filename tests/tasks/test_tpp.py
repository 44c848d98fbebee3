"""Real runs of TPP: resumed, on two workers, beside other objectives, from a published pooler."""

import pytest
import torch

from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.xalign_encoder import XAlignModel
from fairseq_xalign.objectives.tpp import TPPHead
from tests.support.running import Run, pretrain, pretrain_two_workers, same_optimizer, same_weights
from tests.tasks.conftest import run as preprocess

TPP = ["--criterion", "tpp", "--updates-per-epoch", 4, "--batch-size", 8]
RELEASED = ["--tpp-head", "pooler-linear", "--tpp-negatives", "corpus-either-lang"]
CHOICES = {
    "text": TPP,
    "released code": [*TPP, *RELEASED],
    "ranking": [*TPP, "--tpp-loss", "ranking", "--tpp-head", "mean"],
    "a mixture": [
        *TPP,
        "--criterion",
        "xalign",
        "--objectives",
        "moco,tlm,tpp:0.5",
        "--tpp-negatives",
        "batch-hard",
        "--moco-queue",
        16,
        "--tpp-num-negatives",
        2,
    ],
}
END, SAVED = 6, 3


def done(run: Run) -> Run:
    assert run.status == 0, run.text[-3000:]
    return run


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """``get(choice) -> Run``, uninterrupted, each made when first asked for."""
    runs: dict[str, Run] = {}

    def get(name: str) -> Run:
        if name not in runs:
            runs[name] = done(pretrain(data, tmp_path_factory.mktemp("whole"), "mlm", END, *CHOICES[name]))
        return runs[name]

    return get


@pytest.mark.parametrize("name", ["released code", "ranking", "a mixture"])
def test_a_resumed_run_draws_the_same_negatives_as_one_that_never_stopped(data, tmp_path, whole, name):
    first = done(pretrain(data, tmp_path, "mlm", SAVED, *CHOICES[name]))
    second = done(pretrain(data, tmp_path, "mlm", END, *CHOICES[name]))
    assert first.losses() + second.losses() == whole(name).losses()
    assert same_weights(second, whole(name)) and same_optimizer(second, whole(name))


@pytest.mark.parametrize("name", ["text", "released code", "ranking"])
def test_two_workers_equal_one_with_twice_the_micro_batches(data, tmp_path, name):
    options = [*CHOICES[name], "--optimizer", "sgd", "--lr", "0.5"]
    one = done(pretrain(data, tmp_path / "one", "mlm", SAVED, *options, "--update-freq", 2))
    two = pretrain_two_workers(data, tmp_path / "two", "mlm", SAVED, *options)
    assert [r.status for r in two] == [0, 0], two[0].text[-3000:]
    assert two[0].losses() == pytest.approx(one.losses(), abs=2e-3)
    assert same_weights(one, two[0], tolerance=1e-5)


def test_figures_tell_accuracy_scores_and_what_became_of_negatives(whole):
    found = {name: float(value) for name, value in whole("text").records("valid")[-1].items() if "tpp" in name}
    assert found["valid_tpp_loss"] > 0 and 0 <= found["valid_tpp_accuracy"] <= 1 and found["valid_tpp_logit"] > 0
    assert found["valid_tpp_negatives"] + found["valid_tpp_dropped"] == pytest.approx(1, abs=1e-3)
    assert "valid_tpp_rejected" in found
    bits = float(whole("text").records("valid")[-1]["valid_loss"])
    assert bits == pytest.approx(found["valid_tpp_loss"] / 0.6931472, abs=2e-3)


def test_the_head_of_the_released_code_is_trained_and_saved(whole):
    weights = whole("released code").checkpoint()["model"]
    assert {"objectives.tpp.pooler.weight", "objectives.tpp.linear.weight"} <= weights.keys()
    assert weights["objectives.tpp.pooler.bias"].abs().sum() > 0, "it began at 0"


def test_a_pooler_begins_as_the_published_one_and_a_trained_one_stays():
    config = EncoderConfig(vocab_size=20, layers=1, heads=2, width=8, ffn_width=8)
    model = XAlignModel(config)
    model.objectives["tpp"] = TPPHead(8, 0.02, linear=True)
    published = {"foreign.pooler.dense.weight": torch.randn(8, 8), "foreign.pooler.dense.bias": torch.randn(8)}
    begun = {**XAlignModel(config).state_dict(), **published}
    linear = model.objectives["tpp"].linear.weight.clone()
    model.upgrade_state_dict_named(begun, "")
    model.load_state_dict(begun, strict=True)
    assert torch.equal(model.objectives["tpp"].pooler.weight, published["foreign.pooler.dense.weight"])
    assert torch.equal(model.objectives["tpp"].pooler.bias, published["foreign.pooler.dense.bias"])
    assert torch.equal(model.objectives["tpp"].linear.weight, linear), "a published model has no such layer"
    trained = {**model.state_dict(), "foreign.pooler.dense.weight": torch.zeros(8, 8)}
    model.upgrade_state_dict_named(trained, "")
    model.load_state_dict(trained, strict=True)
    assert model.objectives["tpp"].pooler.weight.abs().sum() > 0


def test_a_batch_of_one_pair_is_refused_before_training(data, tmp_path):
    run = pretrain(data, tmp_path, "mlm", 1, *TPP, "--batch-size", 1)
    assert run.status == 1 and not run.records("train_inner")
    assert "--batch-size 1: tpp compares the pairs of a batch with each other" in run.text


def test_a_small_bitext_has_negatives_in_every_batch(data, tmp_path):
    """Windows of thousands of draws, sorted by length, would put the copies of a pair side by side."""
    for side in ("en", "xx"):
        lines = (data.parent / f"train.{side}").read_text("utf-8").splitlines()
        (tmp_path / f"few.{side}").write_text("\n".join(lines[:30]) + "\n", "utf-8")
    bitext = f"en-xx={tmp_path}/few.en,{tmp_path}/few.xx"
    preprocess("binarize", "--subword", data.parent / "doubled", "--bitext", bitext, "--output", tmp_path / "FEW")
    run = done(pretrain(tmp_path / "FEW", tmp_path, "mlm", END, *TPP, "--disable-validation"))
    found = [float(record["tpp_dropped"]) for record in run.records("train_inner")]
    assert len(found) == END and max(found) < 0.3
