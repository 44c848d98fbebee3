"""Real runs of objectives that read word links: resumed, on two workers, mixed, and refused before training."""

import pytest
import torch

from fairseq_xalign.errors import UserError
from preprocess.__main__ import main as preprocess
from tests.support.running import Run, pretrain, pretrain_two_workers, same_optimizer, same_weights
from tests.tasks.test_bad_input import prepare

WEAM = ["--criterion", "weam", "--updates-per-epoch", 4, "--batch-size", 16]
ALIGNED = ["--criterion", "xalign", "--objectives", "wordalign", "--updates-per-epoch", 4, "--batch-size", 16]
CHOICES = {
    "weam": [*WEAM, "--weam-head", "bert"],
    "wordalign": ALIGNED,
    "a mixture": [*ALIGNED, "--objectives", "tlm,weam:0.5,wordalign:0.1,mlm", "--dropout", 0.1],
}
END, SAVED = 6, 3


def done(run: Run) -> Run:
    assert run.status == 0, run.text[-3000:]
    return run


def command(*arguments):
    assert preprocess([str(a) for a in arguments]) == 0


@pytest.fixture(scope="module")
def whole(linked, tmp_path_factory):
    """``get(choice) -> Run``, uninterrupted, each made when first asked for."""
    runs: dict[str, Run] = {}

    def get(name: str) -> Run:
        if name not in runs:
            runs[name] = done(pretrain(linked, tmp_path_factory.mktemp("whole"), "mlm", END, *CHOICES[name]))
        return runs[name]

    return get


@pytest.mark.parametrize("name", CHOICES)
def test_a_resumed_run_equals_one_that_never_stopped(linked, tmp_path, whole, name):
    first = done(pretrain(linked, tmp_path, "mlm", SAVED, *CHOICES[name]))
    second = done(pretrain(linked, tmp_path, "mlm", END, *CHOICES[name]))
    assert first.losses() + second.losses() == whole(name).losses()
    assert same_weights(second, whole(name)) and same_optimizer(second, whole(name))


@pytest.mark.parametrize("name", ["weam", "wordalign"])
def test_two_workers_equal_one_with_twice_the_micro_batches(linked, tmp_path, name):
    options = [*CHOICES[name], "--optimizer", "sgd", "--lr", "0.01"]
    one = done(pretrain(linked, tmp_path / "one", "mlm", SAVED, *options, "--update-freq", 2))
    two = pretrain_two_workers(linked, tmp_path / "two", "mlm", SAVED, *options)
    assert [r.status for r in two] == [0, 0], two[0].text[-3000:]
    assert two[0].losses() == pytest.approx(one.losses(), abs=2e-3)
    assert same_weights(one, two[0], tolerance=1e-5)


def test_the_figures_of_weam_add_up(whole):
    for record in whole("weam").records("train_inner"):
        mp, cp = float(record["tlm_loss"]), float(record["weam_per_hidden"]) / 0.693147
        assert float(record["loss"]) == pytest.approx(mp + cp, abs=2e-3)
        assert 50 < float(record["weam_linked"]) <= 100
        share = float(record["weam_linked"]) / 100
        assert cp == pytest.approx(share * float(record["weam_loss"]), rel=0.01)


def test_the_start_of_wordalign_is_that_of_the_checkpoint_it_begins_from(linked, tmp_path, whole):
    begin = whole("weam")
    options = [*ALIGNED, "--finetune-from-model", begin.save_dir / "checkpoint_last.pt"]
    run = done(pretrain(linked, tmp_path, "mlm", 2, *options))
    before, after = begin.checkpoint()["model"], run.checkpoint()["model"]
    name = "encoder.embed_tokens.weight"
    assert torch.equal(after[f"objectives.wordalign.{name}"], before[name])
    assert not torch.equal(after[name], before[name])
    assert float(run.records("train_inner")[0]["wordalign_drift"]) < 1e-6
    assert not any(key.startswith("objectives.weam") for key in after)


def test_weam_learns_to_predict_words_from_their_partners(linked, tmp_path):
    run = done(pretrain(linked, tmp_path, "mlm", 60, *WEAM, "--updates-per-epoch", 60))
    losses = [float(record["weam_loss"]) for record in run.records("train_inner")]
    assert sum(losses[-5:]) / 5 < 0.85 * sum(losses[:3]) / 3


@pytest.mark.parametrize("choice", ["weam", "wordalign"])
def test_bitext_without_links_is_refused_before_training(data, choice):
    with pytest.raises(UserError) as caught:
        prepare(data, *CHOICES[choice])
    text = str(caught.value)
    assert f"bitext valid en-xx has no word links, but {choice} reads them" in text
    assert "--links en-xx=FILE --split valid" in text
