"""How ``fairseq-generate`` scores translations unless ``--scoring`` says otherwise: BLEU of plain text, signed.

Reason: fairseq's own default compares ids. These are pieces of words, so that its figure depends on the vocabulary and
cannot be compared with any other.
"""

import contextlib
import logging
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import BaseScorer, register_scorer
from omegaconf import OmegaConf

from fairseq_xalign.data.directions import read_direction
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.translation import corpus_bleu

logger = logging.getLogger(__name__)
TEXT_BLEU = "text_bleu"
SCORERS = {"wer": "editdistance", "bert_score": "bert_score", "meteor": "nltk"}
"""Packages that some of fairseq's scorers import when everything has been translated."""


@dataclass
class TextBleuConfig(FairseqDataclass):
    """What BLEU needs to know."""

    language: str = field(default="", metadata={"help": "target language, which chooses the tokenizer of BLEU"})


@register_scorer(TEXT_BLEU, dataclass=TextBleuConfig)
class TextBleuScorer(BaseScorer):
    """Corpus BLEU as ``xalign-evaluate bleu`` computes it."""

    def score(self) -> float:
        return corpus_bleu(self.pred, self.ref, self.cfg.language).score

    def result_string(self) -> str:
        found = corpus_bleu(self.pred, self.ref, self.cfg.language)
        return f"BLEU = {found.score:.2f} (length ratio {found.length_ratio:.3f}, {found.signature})"


def choose_scorer(cfg: Any) -> None:
    """Let BLEU be that of plain text unless ``--scoring`` is given, and refuse a scorer that cannot be imported.

    Args:
        cfg: fairseq's whole configuration (``cfg.scoring`` is changed).
    """
    chosen = str(getattr(cfg.scoring, "_name", cfg.scoring))
    package = SCORERS.get(chosen)
    if package and not find_spec(package):
        raise UserError(
            f"--scoring {chosen} needs the package {package}, which is not installed",
            remedy=f"Install it with pip install {package.replace('_', '-')}, or leave --scoring out for BLEU",
        )
    if chosen != "bleu":
        return
    if any(argument.partition("=")[0] == "--scoring" for argument in sys.argv):
        logger.warning(
            "--scoring bleu compares the vocabulary's pieces and has no signature: leave it out for BLEU of plain "
            "text, or use `xalign-evaluate bleu`"
        )
        return
    target, directions = cfg.task.target_lang, cfg.task.directions
    if target is None and directions:
        with contextlib.suppress(UserError):  # several directions, or none: the task says so
            target = read_direction(directions, "--directions")[1]
    cfg.scoring = OmegaConf.create({"_name": TEXT_BLEU, "language": target or ""})
