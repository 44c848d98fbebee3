"""Options of ``fairseq-generate`` and ``fairseq-interactive``, checked before anything is loaded.

Reason: fairseq asserts some of them, ends in tracebacks of torch with others, and passes over many without a word.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.options import at_least, between, flag, positive

NO_EFFECT = {
    "beam_mt": "it is for models with two decoders",
    "max_len_a_mt": "it is for models with two decoders",
    "max_len_b_mt": "it is for models with two decoders",
    "lenpen_mt": "it is for models with two decoders",
    "print_step": "it is for models that refine a translation step by step",
    "retain_iter_history": "it is for models that refine a translation step by step",
    "iter_decode_eos_penalty": "it is for models that refine a translation step by step",
    "iter_decode_max_iter": "it is for models that refine a translation step by step",
    "iter_decode_force_max_iter": "it is for models that refine a translation step by step",
    "iter_decode_with_beam": "it is for models that refine a translation step by step",
    "iter_decode_with_external_reranker": "it is for models that refine a translation step by step",
    "decoding_format": "it is for models that refine a translation step by step",
    "eos_token": "every translation ends with </s>",
    "replace_unk": "the text is cut into pieces, and has no words to copy",
    "retain_dropout_modules": "--retain-dropout keeps dropout everywhere",
}
"""Options that this task could only pass over, and why."""
NOT_INTERACTIVE = {
    "score_reference": "it has no references",
    "prefix_size": "it has no references whose beginnings could be given",
    "lm_path": "only fairseq-generate reads a language model",
}
NOT_GENERATE = {"constraints": "constraints come with the lines of fairseq-interactive"}
SEARCHES: dict[str, Callable[[Any], bool]] = {
    "--sampling": lambda g: g.sampling,
    "--diverse-beam-groups": lambda g: g.diverse_beam_groups > 0,
    "--diversity-rate": lambda g: g.diversity_rate > -1,
    "--match-source-len": lambda g: g.match_source_len,
    "--constraints": lambda g: g.constraints is not None,
}
"""Ways to search, of which there can be one; without any it is beam search."""


def check_generation_options(cfg: Any, command: str) -> None:
    """Refuse settings of generation that fairseq would crash on or pass over, naming what works.

    Args:
        cfg: fairseq's whole configuration.
        command: ``generate`` or ``interactive``.

    Raises:
        UserError: the first of them.
    """
    generation = cfg.generation
    _check_use(generation, command)
    _check_numbers(generation)
    _check_search(generation)
    _check_lengths(generation)
    _check_language_model(generation)
    _check_overrides(cfg.common_eval.model_overrides)
    if cfg.checkpoint.checkpoint_suffix or cfg.checkpoint.checkpoint_shard_count != 1:
        raise UserError(
            "--checkpoint-suffix and --checkpoint-shard-count are for checkpoints in parts, and ours are whole",
            remedy="Leave them out, and name the file with --path",
        )
    at_least(1, max_tokens=cfg.dataset.max_tokens, batch_size=cfg.dataset.batch_size)
    if command == "interactive":
        _check_buffer(cfg)


def _check_use(generation: Any, command: str) -> None:
    """Refuse what a command cannot do anything with."""
    from fairseq.dataclass.configs import GenerationConfig

    defaults = GenerationConfig()
    useless = {**NO_EFFECT, **(NOT_INTERACTIVE if command == "interactive" else NOT_GENERATE)}
    for name, reason in useless.items():
        if getattr(generation, name) != getattr(defaults, name):
            raise UserError(f"{flag(name)} does not work with fairseq-{command} here: {reason}", remedy="Leave it out")
    if command == "interactive" and str(generation.print_alignment) == "soft":
        raise UserError(
            "--print-alignment soft does not work with fairseq-interactive, which prints pairs of places",
            remedy="Use --print-alignment hard, or fairseq-generate",
        )
    if generation.score_reference and generation.print_alignment:
        raise UserError("--score-reference and --print-alignment exclude each other", remedy="Leave one of them out")


def _check_numbers(generation: Any) -> None:
    at_least(1, beam=generation.beam, nbest=generation.nbest)
    at_least(0, min_len=generation.min_len, prefix_size=generation.prefix_size, max_len_a=generation.max_len_a)
    at_least(0, max_len_b=generation.max_len_b, no_repeat_ngram_size=generation.no_repeat_ngram_size)
    at_least(0, diverse_beam_strength=generation.diverse_beam_strength)
    positive(temperature=generation.temperature)
    for name in ("lenpen", "unkpen", "lm_weight"):
        if not math.isfinite(value := getattr(generation, name)):
            raise UserError(f"{flag(name)} {value} is not finite", remedy="Choose a finite number")


def _check_search(generation: Any) -> None:
    """Refuse ways to search that exclude each other, and settings of one that is not chosen."""
    chosen = [option for option, used in SEARCHES.items() if used(generation)]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} exclude each other", remedy="Keep one of them")
    beam, nbest, groups = generation.beam, generation.nbest, generation.diverse_beam_groups
    if generation.sampling and nbest != beam:
        raise UserError(
            f"--sampling draws --beam {beam} translations, and --nbest {nbest} is another number",
            remedy=f"Give both the same number: --nbest {beam}",
        )
    if nbest > beam:
        raise UserError(
            f"--nbest {nbest} exceeds --beam {beam}, which finds no more than {beam}",
            remedy=f"Choose --beam {nbest} or more, or a smaller --nbest",
        )
    if groups != -1:
        at_least(1, diverse_beam_groups=groups)
        if beam % groups:
            raise UserError(
                f"--beam {beam} cannot be divided by --diverse-beam-groups {groups}",
                remedy=f"Choose a multiple, for instance --beam {-(-beam // groups) * groups}",
            )
    if generation.diversity_rate != -1:
        at_least(0, diversity_rate=generation.diversity_rate)
    for name in ("sampling_topk", "sampling_topp"):
        if getattr(generation, name) != -1 and not generation.sampling:
            raise UserError(f"{flag(name)} has no effect without --sampling", remedy="Add --sampling, or leave it out")
    if generation.sampling_topk != -1:
        at_least(1, sampling_topk=generation.sampling_topk)
    if generation.sampling_topp != -1:
        positive(sampling_topp=generation.sampling_topp)
        between(0, 1, sampling_topp=generation.sampling_topp)
        if generation.sampling_topk != -1:
            raise UserError("--sampling-topk and --sampling-topp exclude each other", remedy="Leave one of them out")


def _check_lengths(generation: Any) -> None:
    """Refuse a shortest translation above the longest one, where that does not depend on the source."""
    if generation.match_source_len or generation.score_reference or generation.max_len_a > 0:
        return
    if generation.min_len > generation.max_len_b:
        raise too_short(generation.min_len, f"--max-len-b {generation.max_len_b}")


def too_short(shortest: int, longest: str) -> UserError:
    """The error for ``--min-len`` above the longest translation that is allowed."""
    return UserError(
        f"--min-len {shortest} exceeds the longest translation, {longest}",
        remedy="Lower --min-len, or raise --max-len-b",
    )


def _check_language_model(generation: Any) -> None:
    if generation.lm_path is None:
        if generation.lm_weight != 0:
            raise UserError("--lm-weight has no effect without --lm-path", remedy="Add --lm-path, or leave it out")
        return
    if not Path(generation.lm_path).is_file():
        raise UserError("--lm-path: no such file", generation.lm_path, remedy="Check the name")
    from fairseq_xalign.models.checkpoint import read_checkpoint

    try:
        read_checkpoint(generation.lm_path, mapped=True)
    except UserError:
        return  # not ours: fairseq opens it, and says what is wrong with it
    raise UserError(
        "--lm-path: a checkpoint of ours, and none of them predicts the next word of a text by itself",
        generation.lm_path, remedy="Name a language model of fairseq's over the dict.txt of the data folder",
    )  # fmt: skip


def _check_overrides(text: str) -> None:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(
            f"--model-overrides {text!r} is no dictionary of Python's",
            remedy="Write \"{'dropout': 0.3}\", for instance",
        )


def _check_buffer(cfg: Any) -> None:
    size, buffer = cfg.dataset.batch_size, max(cfg.interactive.buffer_size, 1)
    if size is not None and size > buffer:
        raise UserError(
            f"--batch-size {size} exceeds the {counted(buffer, 'line')} that --buffer-size reads at once",
            remedy=f"Add --buffer-size {size}, or lower --batch-size",
        )
