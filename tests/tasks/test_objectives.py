"""Lists of objectives, papers' settings, ways of mixing, and what objectives own: real runs of ``fairseq-train``."""

from types import SimpleNamespace

import pytest
import torch

from tests.support.extra_objectives import pretrain_with_extras
from tests.support.running import Run, pretrain, pretrain_two_workers, same_optimizer, same_weights
from tests.tasks.test_bad_input import prepare

XALIGN = ["--criterion", "xalign", "--objectives"]
PAIRS = ["--stream-weights", "mono:1,bitext:8"]
"""Enough pairs that fit, so that every batch has some."""
LISTS = {
    "two views of one text": [*XALIGN, "mlm,dict:0.5"],
    "a sum": ["--criterion", "xlm", "--objective-mix", "sum", "--language-embeddings", *PAIRS],
    "an alternation": [*XALIGN, "mlm,tlm,align:5", "--objective-mix", "alternate", *PAIRS],
}
END, SAVED = 6, 3


def done(run: Run) -> Run:
    assert run.status == 0, run.text[-3000:]
    return run


def valid(run: Run) -> dict[str, float]:
    return {name: float(value) for name, value in run.records("valid")[-1].items() if name.startswith("valid_")}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """``get(list) -> Run``, uninterrupted, each made when first asked for."""
    runs: dict[str, Run] = {}

    def get(name: str) -> Run:
        if name not in runs:
            folder = tmp_path_factory.mktemp("whole")
            runs[name] = done(pretrain(data, folder, "mlm", END, *LISTS[name], "--updates-per-epoch", 4))
        return runs[name]

    return get


@pytest.mark.parametrize("name", LISTS)
def test_a_resumed_run_equals_one_that_never_stopped(data, tmp_path, whole, name):
    options = [*LISTS[name], "--updates-per-epoch", 4]
    first = done(pretrain(data, tmp_path, "mlm", SAVED, *options))
    second = done(pretrain(data, tmp_path, "mlm", END, *options))
    assert first.losses() + second.losses() == whole(name).losses()
    assert same_weights(second, whole(name)) and same_optimizer(second, whole(name))


@pytest.mark.parametrize("name", LISTS)
def test_two_workers_equal_one_with_twice_the_micro_batches(data, tmp_path, name):
    plain = [] if name == "an alternation" else ["--optimizer", "sgd", "--lr", "0.5"]  # Adam: see test_combined.py
    options = [*LISTS[name], "--updates-per-epoch", 4, *plain]
    one = done(pretrain(data, tmp_path / "one", "mlm", SAVED, *options, "--update-freq", 2))
    two = pretrain_two_workers(data, tmp_path / "two", "mlm", SAVED, *options)
    assert [r.status for r in two] == [0, 0], two[0].text[-3000:]
    assert two[0].losses() == pytest.approx(one.losses(), abs=2e-3)
    assert same_weights(one, two[0], tolerance=1e-4)


def test_figures_of_two_objectives_on_one_text_do_not_collide(whole):
    found = valid(whole("two views of one text"))
    ours = {f"valid_{name}" for name in ("mlm_loss", "dict_loss", "loss_en", "loss_xx", "dict_loss_en", "dict_loss_xx")}
    assert ours <= found.keys()
    assert found["valid_dict_loss"] != found["valid_mlm_loss"] and found["valid_dict_loss_en"] != found["valid_loss_en"]
    low, high = sorted((found["valid_dict_loss_en"], found["valid_dict_loss_xx"]))
    assert low <= found["valid_dict_loss"] <= high


def test_the_loss_of_two_views_is_the_plain_sum_over_their_hidden_tokens(whole):
    for record in whole("two views of one text").records("train_inner"):
        n, m = float(record["mlm_count"]), float(record["dict_count"])
        plain = (n * float(record["mlm_loss"]) + 0.5 * m * float(record["dict_loss"])) / (n + m)
        assert float(record["loss"]) == pytest.approx(plain, abs=2e-3)


def test_a_sum_logs_and_validates_the_sum_of_means(whole):
    run = whole("a sum")
    for record in run.records("train_inner"):
        assert float(record["loss"]) == pytest.approx(float(record["mlm_loss"]) + float(record["tlm_loss"]), abs=2e-3)
    found = valid(run)
    assert found["valid_loss"] == pytest.approx(found["valid_mlm_loss"] + found["valid_tlm_loss"], abs=2e-3)
    assert "override those of --criterion xlm: --objective-mix sum instead of mixture\n" in run.text


def test_an_alternation_trains_mlm_tlm_and_align_in_turn(whole):
    names = ("mlm_loss", "tlm_loss", "align_cosine")
    records = whole("an alternation").records("train_inner")
    trained = [[name for name in names if name in record and float(record["num_updates"]) == i] for i, record in
               enumerate(records, 1)]  # fmt: skip
    losses = whole("an alternation").losses()
    assert len(losses) == END and losses[2] < 0 and losses[5] < 0 < min(losses[0], losses[1], losses[3], losses[4])
    assert trained[0] == ["mlm_loss"]
    assert {f"valid_{name}" for name in names} <= valid(whole("an alternation")).keys()


def test_a_dictionary_is_looked_up_in_both_directions_each_from_its_own_language(data):
    task = prepare(data, "--criterion", "dict_mlm", "--language-embeddings")
    (dictionary,), table = task.dictionaries.values(), task.resources.translations
    for english, other in zip(dictionary.source[:20], dictionary.target[:20]):
        for language, token, translation in ((1, english[0], other[0]), (2, other[0], english[0])):
            at, count = table.find(torch.tensor([language]), torch.tensor([token]))
            assert table.values[at : at + int(count)].tolist() == [translation]
            assert table.languages[at].tolist() == [3 - language]
            assert int(table.find(torch.tensor([3 - language]), torch.tensor([token]))[1]) == 0


# A paper's settings


EXPLICIT = [*XALIGN, "mlm,tlm:0.5", "--tlm-positions", "continue", "--tlm-packing", "pairs", "--sample-break-mode",
            "complete"]  # fmt: skip


@pytest.fixture(scope="module")
def paper(data, tmp_path_factory) -> Run:
    return done(pretrain_with_extras(data, tmp_path_factory.mktemp("paper"), 3, "--criterion", "paper"))


def test_a_papers_criterion_brings_its_settings(data, tmp_path, paper):
    """30 % hidden, one pair a sequence, positions that run on, whole sentences."""
    explicit = done(pretrain(data, tmp_path, "mlm", 3, *EXPLICIT, "--mask-prob", "0.3"))
    assert paper.losses() == explicit.losses() and same_weights(paper, explicit)
    assert "given by hand override" not in paper.text and "PaperCriterion" in paper.text
    counts = [sum(float(r.get(f"{name}_count") or 0) for name in ("mlm", "tlm")) / float(r["wpb"])
              for r in paper.records("train_inner")]  # fmt: skip
    assert sum(counts) / len(counts) == pytest.approx(0.3, abs=0.03)


def test_an_option_given_by_hand_wins_over_the_paper_and_is_logged_in_one_line(data, tmp_path, paper):
    run = done(pretrain_with_extras(data, tmp_path / "paper", 3, "--criterion", "paper", "--mask-prob", "0.15",
                                    "--tlm-positions", "continue", "--paper-weight", "0.5"))  # fmt: skip
    explicit = done(pretrain(data, tmp_path / "explicit", "mlm", 3, *EXPLICIT, "--mask-prob", "0.15"))
    assert run.losses() == explicit.losses() != paper.losses()
    (line,) = [line for line in run.text.splitlines() if "given by hand override" in line]
    assert line.endswith("options given by hand override those of --criterion paper: --mask-prob 0.15 instead of 0.3")


def test_the_way_to_have_language_embeddings_with_align_mlms_objectives_works(data, tmp_path):
    """What the refusal in test_bad_input.py tells to use."""
    done(pretrain(data, tmp_path, "mlm", 1, *XALIGN, "mlm:1,align:10", "--language-embeddings"))


# What objectives own


OWNING = [*XALIGN, "mlm,centring:0.1", "--updates-per-epoch", 4]
OWNED = {"objectives.centring.direction", "objectives.centring.average", "objectives.centring.steps"}


@pytest.fixture(scope="module")
def owning(data, tmp_path_factory) -> Run:
    return done(pretrain_with_extras(data, tmp_path_factory.mktemp("owning"), END, *OWNING))


def owned(run: Run) -> dict[str, torch.Tensor]:
    return {name: value for name, value in run.checkpoint()["model"].items() if name.startswith("objectives.")}


def test_what_an_objective_owns_is_trained_and_saved(owning):
    found = owned(owning)
    assert found.keys() == OWNED and int(found["objectives.centring.steps"]) == END
    assert not torch.equal(found["objectives.centring.direction"], torch.ones(32)), "the optimizer has it"
    assert 0 < found["objectives.centring.average"].abs().sum() < found["objectives.centring.direction"].abs().sum()
    assert "valid_centring_distance" in valid(owning) and "valid_centring_drift" in valid(owning)


def test_what_an_objective_owns_is_resumed_bit_for_bit(data, tmp_path, owning):
    first = done(pretrain_with_extras(data, tmp_path, SAVED, *OWNING))
    second = done(pretrain_with_extras(data, tmp_path, END, *OWNING))
    assert first.losses() + second.losses() == owning.losses()
    assert same_weights(second, owning) and same_optimizer(second, owning)


def test_validation_changes_nothing_that_an_objective_owns(data, tmp_path, owning):
    run = done(pretrain_with_extras(data, tmp_path, END, *OWNING, "--validate-interval-updates", 1))
    assert len(run.records("valid")) > len(owning.records("valid")) and same_weights(run, owning)


def test_another_start_drops_what_is_not_owned_and_makes_afresh_what_is(data, tmp_path, owning):
    last = owning.save_dir / "checkpoint_last.pt"
    still = ["--lr", "1e-12"]
    dropped = done(pretrain(data, tmp_path / "dropped", "mlm", 1, *still, "--finetune-from-model", last))
    assert not owned(dropped)
    embeddings = "encoder.embed_tokens.weight"
    assert torch.allclose(
        dropped.checkpoint()["model"][embeddings], owning.checkpoint()["model"][embeddings], atol=1e-9
    )
    start = dropped.save_dir / "checkpoint_last.pt"
    filled = done(pretrain_with_extras(data, tmp_path / "filled", 1, *OWNING, *still, "--finetune-from-model", start))
    assert owned(filled).keys() == OWNED and int(owned(filled)["objectives.centring.steps"]) == 1
    assert torch.allclose(owned(filled)["objectives.centring.direction"], torch.ones(32), atol=1e-9)


def test_what_objectives_own_stays_in_float32_when_the_model_is_halved():
    from fairseq_xalign.models.xalign_encoder import Float32Modules
    from tests.support.extra_objectives import Centre

    model = torch.nn.Module()
    model.encoder, model.objectives = torch.nn.Linear(2, 2), Float32Modules({"centring": Centre(2)})
    model.half()
    assert model.encoder.weight.dtype == torch.float16
    kinds = {name: value.dtype for name, value in model.objectives["centring"].state_dict().items()}
    assert kinds == {"direction": torch.float32, "average": torch.float32, "steps": torch.int64}
    assert model.double().objectives["centring"].average.dtype == torch.float64


def test_a_step_that_amp_leaves_out_changes_nothing_that_objectives_own():
    """The step that overflows, and not the one before or after it."""
    from fairseq_xalign.tasks.align_mlm import AlignMLMTask
    from fairseq_xalign.tasks.owned import OwnedModules
    from tests.support.amp import amp_on_a_cpu
    from tests.support.extra_objectives import Centre, Centring

    task, model = AlignMLMTask.__new__(AlignMLMTask), torch.nn.Module()
    model.encoder, model.objectives = torch.nn.Linear(2, 2), torch.nn.ModuleDict({"centring": Centre(2)})
    own = model.objectives["centring"]
    model.unclaimed = None
    task._model = model
    task._owned = OwnedModules([], model, None)
    task._owned.found.append((Centring(), own))
    optimizer, counted = amp_on_a_cpu([own.direction], 128.0), []
    for slope in (1.0, float("inf"), 1.0):
        optimizer.zero_grad()
        optimizer.backward((own.direction * slope).sum())
        optimizer.clip_grad_norm(0.0)
        task.optimizer_step(optimizer, model, 0)
        counted.append(int(own.steps))
    assert counted == [1, 1, 2]


def test_objectives_are_told_of_the_float32_weights_that_an_update_changed():
    from fairseq.optim.sgd import SGD

    from fairseq_xalign.tasks.align_mlm import AlignMLMTask
    from fairseq_xalign.tasks.owned import OwnedModules
    from tests.support.amp import fp16_on_a_cpu
    from tests.support.extra_objectives import Centre, Centring

    told = []

    class Told(Centring):
        def after_step(self, module, encoder, masters):
            told.append(masters[encoder.weight].clone())

    task, model = AlignMLMTask.__new__(AlignMLMTask), torch.nn.Module()
    model.encoder, model.unclaimed = torch.nn.Linear(2, 2, bias=False).bfloat16(), None
    model.encoder.weight.data.fill_(1.0)
    task._model, task._owned = model, OwnedModules([], model, None)
    task._owned.found.append((Told(), Centre(2)))
    settings = SimpleNamespace(lr=[2.0**-12], momentum=0.0, weight_decay=0.0)
    optimizer = fp16_on_a_cpu([model.encoder.weight], lambda weights: SGD(settings, weights), bf16=True)
    for _ in range(2):
        optimizer.zero_grad()
        optimizer.backward(model.encoder.weight.sum())
        task.optimizer_step(optimizer, model, 0)
    assert [weights.unique().tolist() for weights in told] == [[1 - 2.0**-12], [1 - 2.0**-11]]


def test_an_option_of_an_objective_that_is_not_trained_on_is_refused(data, tmp_path):
    run = pretrain(data, tmp_path, "mlm", 1, *XALIGN, "tlm", "--moco-queue", 9)
    assert run.status != 0 and "Traceback" not in run.text
    assert "--moco-queue is an option of the objective moco, which --objectives does not have" in run.text
