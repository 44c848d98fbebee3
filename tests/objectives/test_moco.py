"""Momentum contrast: what is worked out by hand, and fifty updates against an implementation with plain loops."""

import copy
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from fairseq.optim.sgd import SGD

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.objectives.batch import pack, select
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.moco import Moco, MocoOptions, MomentumContrast, Projection
from fairseq_xalign.objectives.objective import Context, Resources, Weighted
from fairseq_xalign.objectives.view import Settings
from fairseq_xalign.optimizers.master_weights import master_weights
from tests.support.amp import fp16_on_a_cpu
from tests.support.trainings import free_port, run_function, wait

SMALL = EncoderConfig(30, layers=1, heads=2, width=16, ffn_width=24, max_positions=16, dropout=0.0,
                      attention_dropout=0.0)  # fmt: skip
FLAT = replace(SMALL, layers=0)
QUEUE, RATE = 13, 0.5


def options(**changes) -> MocoOptions:
    return MocoOptions(**{"moco_queue": QUEUE, "moco_width": 8, "moco_momentum": 0.9, **changes})


# What is worked out by hand


@pytest.mark.parametrize(("normalize", "expected"), [("h", [1.2, 2.4, -1.2]), ("none", [6.0, 12.0, -6.0])])
def test_the_projection_is_eq_2(normalize, expected):
    projection = Projection(2, 0.02, options(moco_normalize=normalize, moco_width=3))
    projection.hidden.weight.data = torch.tensor([[1.0, -1.0], [2.0, 0.0]])
    projection.out.weight.data = torch.tensor([[1.0, 1.0], [0.0, 2.0], [1.0, -1.0]])
    assert projection(torch.tensor([[3.0, 4.0]])).tolist()[0] == pytest.approx(expected)
    assert projection.hidden.bias is projection.out.bias is None


def test_both_and_z_give_vectors_of_length_one_and_zero_vectors_stay_finite():
    for normalize in ("z", "both"):
        projection = Projection(32, 0.02, options(moco_normalize=normalize, moco_projection_bias=True))
        vectors = torch.randn(5, 32, generator=torch.Generator().manual_seed(1))
        assert torch.allclose(projection(vectors).norm(dim=1), torch.ones(5))
        zero = torch.zeros(1, 32, requires_grad=True)
        projection(zero).sum().backward()
        assert projection(zero).isfinite().all() and zero.grad.isfinite().all()


def sgd(parameters):
    return SGD(SimpleNamespace(lr=[1e-5], momentum=0.0, weight_decay=0.0), parameters)


def scalar_module(momentum: float) -> tuple[MomentumContrast, Encoder]:
    encoder = Encoder(FLAT)
    module = MomentumContrast(encoder, options(moco_momentum=momentum))
    for weights, value in ((module.key_encoder, 0.0), (encoder, 1.0)):
        weights.embed_norm.weight.data.fill_(value)
    return module, encoder


def test_the_key_encoder_follows_once_an_update():
    """theta_q = 1 and theta_k = 0 at first, m = 0.999: 1 - 0.999^1000 after 1000 updates."""
    module, encoder = scalar_module(0.999)
    module.double(), encoder.double()
    for _ in range(1000):
        module.step(encoder)
    assert module.key_encoder.embed_norm.weight[0].item() == pytest.approx(0.6323045752, abs=1e-10)
    assert int(module.steps) == 1000


def test_each_update_uses_what_the_optimizer_left():
    module, encoder = scalar_module(0.9)
    found = []
    for value in (1.0, 2.0, 3.0):
        encoder.embed_norm.weight.data.fill_(value)
        module.step(encoder)
        found.append(module.key_encoder.embed_norm.weight[0].item())
    assert found == pytest.approx([0.1, 0.29, 0.561])


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_the_key_encoder_accumulates_in_float32_and_reads_in_the_models_precision(precision):
    """In half precision 0.999 * 1 + 0.001 * 1.25 stays 1.0 for ever."""
    module, encoder = scalar_module(0.999)
    module.key_encoder.embed_norm.weight.data.fill_(1.0)
    encoder.embed_norm.weight.data.fill_(1.25)
    encoder.to(precision)
    reader = module._reader(encoder)
    for _ in range(1000):
        module._follow(encoder, 0.999)
    assert module.key_encoder.embed_norm.weight[0].item() == pytest.approx(1.1580761438, abs=1e-4)
    assert reader is module._reader(encoder) and reader.embed_norm.weight.dtype == precision
    assert reader.embed_norm.weight[0].item() == pytest.approx(1.158, abs=0.005)
    assert "_lowered" not in "".join(module.state_dict())


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_the_key_encoder_follows_the_float32_weights_behind_half_precision(precision, flat):
    """Updates of -1e-5 to a weight of 1, which half precision does not show: theta_q = 1 - 1e-5 t after update t."""
    encoder = Encoder(FLAT)
    module = MomentumContrast(encoder, options(moco_momentum=0.9))
    weight = encoder.embed_norm.weight
    weight.data.fill_(1.0)
    encoder.to(precision)
    module.start(encoder)
    optimizer = fp16_on_a_cpu(
        [*encoder.parameters(), *module.head.parameters()], sgd, flat, precision == torch.bfloat16
    )
    expected = 1.0
    for update in range(1, 11):
        optimizer.zero_grad()
        optimizer.backward(weight.float().sum())
        optimizer.clip_grad_norm(0.0)
        optimizer.step()
        Moco(module.options).after_step(module, encoder, master_weights(optimizer))
        expected = 0.9 * expected + 0.1 * (1 - 1e-5 * update)
    assert bool((weight == 1).all()), "none of these updates shows in the model"
    assert module.key_encoder.embed_norm.weight[0].item() == pytest.approx(expected, abs=3e-7) and expected < 1 - 4e-5
    assert torch.equal(module.key_head.out.weight, module.head.out.weight), "the projection got no gradient"


def test_a_queue_larger_than_the_bitext_is_refused():
    objective = Moco(options(moco_queue=10))
    objective.check(Resources("DATA", pairs=11))
    with pytest.raises(UserError, match="--moco-queue 10 is not less than the 10 pairs.*Choose a tenth"):
        objective.check(Resources("DATA", pairs=10))


@pytest.mark.parametrize("wrong", [{"moco_queue": 0}, {"moco_momentum": 1.5}, {"moco_temperature": 0.0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(UserError, match="--moco-"):
        options(**wrong)


# Corners


class OwnReading:
    """A batch without passes that others share."""

    def __init__(self, batch):
        self.batch = batch


def one_update(objective, encoder, module, micro_batches, first=0, dummy=False, training=True):
    """The summed loss of some micro-batches of pairs [(ids, ids), ...], numbered from ``first`` on."""
    total, size = torch.zeros(()), 0
    for i, pairs in enumerate(micro_batches):
        batch = pack([side for pair in pairs for side in pair])
        context = Context(training=training, dummy=dummy, number=(0, first + i), modules={"moco": module})
        loss, count, _ = combined_loss([Weighted(objective, 1.0)], encoder, {"bitext": batch}, context)
        total, size = total + loss, size + count
    return total, size


def made(seed=1, **changes):
    torch.manual_seed(seed)
    encoder, objective = Encoder(SMALL).double(), Moco(options(**changes))
    module = objective.module(encoder).double()
    for layer in (module.head.hidden, module.head.out):
        torch.nn.init.normal_(layer.weight, std=0.3)
    module.start(encoder)
    return objective, encoder, module


@pytest.mark.parametrize("changes", [{}, {"moco_mask_duplicates": True}, {"moco_denominator": "queue-only"}])
def test_one_pair_and_equal_pairs_have_finite_losses(changes):
    objective, encoder, module = made(**changes)
    for pairs in ([([0, 7, 2], [0, 8, 2])], [([0, 7, 2], [0, 7, 2])] * 4, [([0, 2], [0, 2])]):
        for _ in range(3):
            total, size = one_update(objective, encoder, module, [pairs])
            total.backward()
            objective.after_step(module, encoder)
            assert size == len(pairs) and total.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in (*encoder.parameters(), *module.parameters()))


def test_dummy_batches_validation_and_an_update_that_fails_change_nothing():
    objective, encoder, module = made()
    pairs = [([0, 7, 2], [0, 8, 2])]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    one_update(objective, encoder, module, [pairs], dummy=True)
    one_update(objective, encoder, module, [pairs], training=False)
    assert not module.waiting.batches
    one_update(objective, encoder, module, [pairs] * 3)  # the step overflows: after_step is not called
    objective.before_update(module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    one_update(objective, encoder, module, [pairs], first=8)
    objective.after_step(module, encoder)
    assert int(module.queue.filled) == 1 and int(module.steps) == 1


def test_every_weight_of_the_encoder_has_a_gradient_without_an_lm_head_and_the_key_encoder_none():
    objective, encoder, module = made()
    one_update(objective, encoder, module, [[([0, 7, 2], [0, 8, 2])]])[0].backward()
    assert all(p.grad is not None for p in encoder.parameters())
    assert {name for name, p in module.named_parameters() if p.requires_grad} == {
        "head.hidden.weight",
        "head.out.weight",
    }
    assert all(p.grad is None for name, p in module.named_parameters() if name.startswith("key_"))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("without", [False, True])
def test_keys_have_dropout_in_training_unless_that_is_left_out(without, precision):
    torch.manual_seed(1)
    encoder = Encoder(replace(SMALL, dropout=0.5)).to(precision)
    module = MomentumContrast(encoder, options(moco_key_eval=without))
    batch = pack([[0, 7, 9, 2], [0, 8, 2]])
    encoder.train(), module.train()
    first, second = module.keys(encoder, batch), module.keys(encoder, batch)
    assert torch.equal(first, second) == without
    assert not torch.equal(module.queries(encoder, batch), module.queries(encoder, batch))
    module.eval()
    assert torch.equal(module.keys(encoder, batch), module.keys(encoder, batch))
    module.train()
    assert torch.equal(module.keys(encoder, batch), module.keys(encoder, batch)) == without


def test_texts_are_read_whole_unless_they_are_to_be_hidden_as_for_tlm():
    settings = Settings(mask_prob=0.4, random_token_prob=0.0)
    assert Moco(options()).view(settings).rates is None
    hidden = Moco(options(moco_mask_tokens=True)).view(settings)
    assert hidden == replace(Moco(options()).view(settings), rates=settings.rates)


def test_chosen_sequences_are_those_of_the_batch():
    batch = pack([[0, 5, 2], [0, 6, 7, 2], [0, 2]])
    batch.keys = torch.tensor([10, 11, 12])
    chosen = select(batch, torch.tensor([2, 1]))
    expected = pack([[0, 2], [0, 6, 7, 2]])
    assert chosen.tokens.tolist() == expected.tokens.tolist() and chosen.starts.tolist() == expected.starts.tolist()
    assert chosen.positions.tolist() == expected.positions.tolist() and chosen.keys.tolist() == [12, 11]
    assert chosen.longest == 4 and len(select(batch, torch.zeros(0, dtype=torch.int64))) == 0


# Fifty updates


@dataclass
class Naive:
    """MoCo's Algorithm 1 with plain loops: one text at a time, the queue a list, texts compared as they are."""

    encoder: Encoder
    head: list[torch.Tensor]
    changes: dict
    keys: list = field(default_factory=list)
    pointer: int = 0

    def __post_init__(self):
        self.follower = copy.deepcopy(self.encoder).requires_grad_(False)
        self.key_head = [w.detach().clone() for w in self.head]

    def project(self, vector, weights):
        normalize = self.changes.get("moco_normalize", "h")
        if normalize in ("h", "both"):
            vector = vector / vector.square().sum().sqrt()
        w1, w2 = weights
        z = w2 @ (w1 @ vector).clamp(min=0)
        return z / z.square().sum().sqrt() if normalize in ("z", "both") else z

    def vector(self, ids, encoder):
        features = encoder(pack([ids]), self.changes.get("sentence_layer"))
        return features[1:-1].mean(0) if self.changes.get("moco_pooling") == "mean" else features[0]

    def update(self, micro_batches):
        pairs = [pair for batch in micro_batches for pair in batch]
        new, losses = [], []
        for first, second in pairs:
            query = self.project(self.vector(first, self.encoder), self.head)
            with torch.no_grad():
                key = self.project(self.vector(second, self.follower), self.key_head)
            new.append((key, first, second))
            temperature = self.changes.get("moco_temperature", 0.05)
            positive = query @ key / temperature
            negatives = [
                query @ other / temperature
                for other, a, b in self.keys
                if not (self.changes.get("moco_mask_duplicates") and {str(a), str(b)} & {str(first), str(second)})
            ]
            hardest = self.changes.get("moco_hardest") or len(negatives)
            negatives = sorted(negatives, key=torch.Tensor.item, reverse=True)[:hardest]
            queue_only = self.changes.get("moco_denominator") == "queue-only"
            terms = negatives if queue_only else [positive, *negatives]
            losses.append(torch.stack(terms).exp().sum().log() - positive if negatives else positive * 0)
        weights = [*self.encoder.parameters(), *self.head]
        loss = torch.stack(losses).mean()
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True)):
            if gradient is not None:
                weight.data -= RATE * gradient
        m = self.changes.get("moco_momentum", 0.9)
        for own, weight in zip(self.follower.parameters(), self.encoder.parameters()):
            own.data = m * own.data + (1 - m) * weight.detach()
        self.key_head = [m * own + (1 - m) * w.detach() for own, w in zip(self.key_head, self.head)]
        for item in new:
            if len(self.keys) < QUEUE:
                self.keys.append(item)
            else:
                self.keys[self.pointer] = item
            self.pointer = (self.pointer + 1) % QUEUE
        return float(loss.detach())


def update_batches(update: int, count: int) -> list[list[tuple[list[int], list[int]]]]:
    """Micro-batches of one or three pairs; texts are few, so that some come again."""
    rng = random.Random(f"update {update}")
    texts = [[0, *random.Random(f"text {i}").choices(range(5, 30), k=1 + i % 6), 2] for i in range(40)]
    return [[(rng.choice(texts), rng.choice(texts)) for _ in range(rng.choice((1, 1, 3)))] for _ in range(count)]


def train_ours(rank: int, world: int, micro_batches: int, updates: int, changes: dict, port: int, out: Path) -> None:
    """``updates`` updates of this worker, whose micro-batches are every ``world``-th; what it ends with is saved."""
    if world > 1:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    objective, encoder, module = made(**changes)
    weights = [p for p in (*encoder.parameters(), *module.parameters()) if p.requires_grad]
    losses = []
    for update in range(updates):
        batches = update_batches(update, micro_batches * world)
        objective.before_update(module)
        total, size = torch.zeros(()), 0
        for m in range(micro_batches):
            number = m * world + rank
            part, count = one_update(objective, encoder, module, [batches[number]], first=1000 * update + number)
            total, size = total + part, size + count
        found = torch.autograd.grad(total, weights, allow_unused=True)
        flat = torch.cat([torch.zeros_like(w).view(-1) if g is None else g.view(-1) for w, g in zip(weights, found)])
        sums = torch.cat([torch.stack([total.detach(), total.detach() * 0 + size]), flat])
        if world > 1:
            dist.all_reduce(sums)
        for weight, gradient in zip(weights, sums[2:].split([w.numel() for w in weights])):
            weight.data -= RATE * gradient.view_as(weight) / sums[1]
        losses.append(float(sums[0] / sums[1]))
        objective.after_step(module, encoder)
    torch.save({"losses": losses, "module": module.state_dict(), "encoder": encoder.state_dict()}, out / f"{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


def check(out: Path, world: int, micro_batches: int, updates: int, changes: dict) -> None:
    _, encoder, module = made(**changes)
    naive = Naive(encoder, [module.head.hidden.weight, module.head.out.weight], changes)
    expected = [naive.update(update_batches(update, micro_batches * world)) for update in range(updates)]
    for rank in range(world):
        found = torch.load(out / f"{rank}.pt")
        assert found["losses"] == pytest.approx(expected, abs=1e-8)
        own = found["module"]
        assert int(own["queue.pointer"]) == naive.pointer and int(own["steps"]) == updates
        assert torch.allclose(own["queue.keys"], torch.stack([key for key, _, _ in naive.keys]), atol=1e-8)
        for name, weight in naive.follower.named_parameters():
            assert torch.allclose(own[f"key_encoder.{name}"], weight, atol=1e-8), name
        for name, weight in zip(("hidden", "out"), naive.key_head):
            assert torch.allclose(own[f"key_head.{name}.weight"], weight, atol=1e-8)
        first = torch.load(out / "0.pt")
        assert all(torch.equal(own[name], first["module"][name]) for name in own if not name.startswith("head."))


VARIATIONS = [
    {"moco_normalize": "z", "moco_pooling": "mean", "moco_mask_duplicates": True, "moco_temperature": 0.2},
    {"moco_normalize": "both", "moco_denominator": "queue-only", "moco_temperature": 0.5},
    {"moco_normalize": "z", "moco_mask_duplicates": True, "moco_hardest": 3},
    {
        "moco_normalize": "none",
        "moco_momentum": 0.5,
        "moco_temperature": 5.0,
        "moco_pooling": "mean",
        "sentence_layer": 0,
    },
]


@pytest.mark.parametrize("changes", VARIATIONS, ids=lambda changes: changes["moco_normalize"])
def test_every_option_equals_plain_loops(tmp_path, changes):
    train_ours(0, 1, 2, 8, changes, 0, tmp_path)
    check(tmp_path, 1, 2, 8, changes)


def test_fifty_updates_of_four_micro_batches_equal_plain_loops(tmp_path):
    train_ours(0, 1, 4, 50, {}, 0, tmp_path)
    check(tmp_path, 1, 4, 50, {})


def test_fifty_updates_of_two_workers_with_uneven_batches_equal_plain_loops(tmp_path):
    port = free_port()
    group = [
        run_function(train_ours, rank, 2, 4, 50, {}, port, tmp_path, log=tmp_path / f"log.{rank}") for rank in (0, 1)
    ]
    assert [wait(process, 120) for process in group] == [0, 0], (tmp_path / "log.0").read_text()[-2000:]
    check(tmp_path, 2, 4, 50, {})
