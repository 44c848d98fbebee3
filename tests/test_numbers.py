"""Numbers worked out by hand: sampling's ratio, the schedule of ALIGN-MLM, the perplexity of a mixture."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from fairseq.logging import metrics
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import (
    PolynomialDecayLRSchedule,
    PolynomialDecayLRScheduleConfig,
)

from fairseq_xalign.criterions.xalign import PAPERS, XAlignCriterion
from fairseq_xalign.data.sampling import temperature_probabilities

ROOT = Path(__file__).parent.parent


# temperature sampling (MMTE, section 2.2)
@pytest.mark.parametrize(("temperature", "ratio"), [(1, 100.0), (5, 2.5118864315), (100, 1.0471285481)])
def test_a_hundred_times_the_text_is_drawn_as_often_as_the_temperature_says(temperature, ratio):
    large, small = temperature_probabilities([1e6, 1e4], temperature)
    assert large + small == pytest.approx(1, abs=1e-12) and large / small == pytest.approx(ratio, rel=1e-10)


# Learning rates of the papers, as the documentation writes them


def documented_schedule(page: str) -> PolynomialDecayLRSchedule:
    """fairseq's scheduler with the options of a page's first training at the paper's scale."""
    command = re.findall(r"fairseq-train DATA .*?--save-dir \S+", (ROOT / page).read_text("utf-8"), re.S)[0]
    given = dict(re.findall(r"--([a-z-]+) ([^\s\\-]\S*)", command))
    assert given["lr-scheduler"] == "polynomial_decay" and given["max-update"] == given["total-num-update"]
    config = PolynomialDecayLRScheduleConfig(
        lr=[float(given["lr"])],
        warmup_updates=int(given["warmup-updates"]),
        total_num_update=float(given["total-num-update"]),
        end_learning_rate=float(given.get("end-learning-rate", 0)),
        power=float(given.get("power", 1)),
    )

    class Optimizer(FairseqOptimizer):
        """Holds one learning rate."""

        rate = 0.0

        def set_lr(self, lr: float) -> None:
            self.rate = lr

        def get_lr(self) -> float:
            return self.rate

    return PolynomialDecayLRSchedule(config, Optimizer(None))


@pytest.mark.parametrize(
    ("page", "rates"),
    [
        # ALIGN-MLM, Appendix G: 10,000 updates of linear warm-up to 1e-4, then linear decay to 0 at 500,000
        ("README.md", {5_000: 5e-5, 10_000: 1e-4, 255_000: 5e-5, 500_000: 0.0}),
        # PPA, section 3.1: warm-up to 3e-5 in the first tenth of the updates, then linear decay
        ("docs/papers/ppa.md", {2_350: 1.5e-5, 4_700: 3e-5, 25_850: 1.5e-5, 47_000: 0.0}),
        # TPP, appendix A: 500 updates of warm-up
        ("docs/papers/tpp.md", {250: 1e-5, 500: 2e-5, 5_250: 1e-5, 10_000: 0.0}),
    ],
)
def test_the_documented_options_give_the_papers_schedules(page, rates):
    schedule = documented_schedule(page)
    assert {n: schedule.step_update(n) for n in rates} == pytest.approx(rates, rel=1e-9, abs=1e-15)


# what the log says


def log(tokens: int, perplexity: float, cosine: float | None = None) -> dict:
    """What one batch logs; with a cosine, ALIGN-MLM's with alpha = 10."""
    total = tokens * math.log(perplexity)
    logs = {"loss": total, "sample_size": tokens, "ntokens": tokens, "nsentences": 1, "sum_mlm": total}
    logs |= {"count_mlm": tokens, "sum_token": total, "count_token": tokens}
    if cosine is not None:
        logs |= {"loss": total - 10 * cosine * tokens, "sum_align": -cosine * 50, "count_align": 50}
    return {key: torch.tensor(value) if key.startswith(("loss", "sum")) else value for key, value in logs.items()}


@pytest.mark.parametrize(
    ("criterion", "logs", "perplexity", "bits"),
    [
        (PAPERS["mlm"], [log(900, 10), log(100, 40)], 11.4869835500, math.log2(11.4869835500)),
        (PAPERS["mlm"], [log(1000, 10)], 10.0, 3.3219280949),
        (XAlignCriterion, [log(1, 10), log(0, 40), log(2, 10)], 10.0, 3.3219280949),
        (PAPERS["align_mlm"], [log(900, 10, 0.95), log(100, 10, 0.95)], 10.0, 3.3219280949),
    ],
    ids=["a mixture", "one text", "a batch without masked tokens", "ALIGN-MLM"],
)
def test_perplexity_is_weighted_by_tokens_and_is_the_tokens_alone(criterion, logs, perplexity, bits):
    """Neither the mean of perplexities (25) nor with alpha times the cosine in it (7.485e-4)."""
    with metrics.aggregate(new_root=True) as found:
        criterion.reduce_metrics(logs)
    assert found["token_loss"].avg == pytest.approx(bits, abs=1e-6)  # batches log float32
    assert 2 ** found["token_loss"].avg == pytest.approx(perplexity, rel=1e-6)
    shown = found.get_smoothed_values()
    assert shown["ppl"] == shown["mlm_ppl"] == round(perplexity, 2) and shown["token_loss"] == round(bits, 3)


def test_the_loss_of_align_mlm_is_still_the_whole_sum():
    with metrics.aggregate(new_root=True) as found:
        PAPERS["align_mlm"].reduce_metrics([log(900, 10, 0.95)])
    assert found["loss"].avg * math.log(2) == pytest.approx(math.log(10) - 9.5, abs=1e-6)
    assert math.exp(found["loss"].avg * math.log(2)) == pytest.approx(7.485e-4, rel=1e-3)
    assert found["align_cosine"].avg == pytest.approx(0.95)
