"""What fairseq's generator gets wrong, and which of its settings are refused."""

import pytest
import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.ngram_repeat_block import NGramRepeatBlock

from fairseq_xalign import compat
from fairseq_xalign.compat.generation_options import check_generation_options
from fairseq_xalign.errors import UserError


@pytest.mark.parametrize(("size", "blocked"), [(2, [9]), (3, [])])
def test_a_phrase_that_was_written_is_blocked(size, blocked):
    compat.apply()
    block = NGramRepeatBlock(size)
    tokens = torch.tensor([[2, 8, 9, 8, 1, 1, 1, 1]])  # </s> 8 9 8, and room for more
    scores = block(tokens, torch.zeros(1, 12), 1, 1, 3)
    assert (scores[0] < 0).nonzero().flatten().tolist() == blocked
    unpatched = NGramRepeatBlock._no_repeat_ngram.__wrapped__
    assert not (unpatched(block, tokens, torch.zeros(1, 12), 1, 1, 3) < 0).any(), "fairseq repaired it: remove ours"


def settings(**given):
    """fairseq's configuration with some values of its groups, most of them of the group of generation."""
    from omegaconf import OmegaConf

    cfg = OmegaConf.structured(FairseqConfig())
    cfg.generation.lm_path = None
    for name, value in given.items():
        group = next(g for g in ("generation", "dataset", "common_eval", "checkpoint", "interactive") if name in cfg[g])
        cfg[group][name] = value
    return cfg


EITHER = [
    ({"beam": 0}, "--beam 0 is too small. Choose 1 or more"),
    ({"nbest": 0}, "--nbest 0 is too small"),
    ({"beam": 3, "nbest": 5}, "--nbest 5 exceeds --beam 3.*Choose --beam 5 or more"),
    ({"sampling": True}, "--sampling draws --beam 5 translations, and --nbest 1.*--nbest 5"),
    ({"sampling_topk": 3}, "--sampling-topk has no effect without --sampling"),
    ({"sampling_topp": 0.5}, "--sampling-topp has no effect without --sampling"),
    ({"sampling": True, "nbest": 5, "sampling_topk": 0}, "--sampling-topk 0 is too small"),
    ({"sampling": True, "nbest": 5, "sampling_topp": 1.5}, "--sampling-topp 1.5 is out of range"),
    ({"sampling": True, "nbest": 5, "sampling_topp": 0.0}, "--sampling-topp 0.0 is not a positive number"),
    ({"sampling": True, "nbest": 5, "sampling_topp": 0.5, "sampling_topk": 2}, "-topk and --sampling-topp exclude"),
    ({"min_len": 300}, "--min-len 300 exceeds the longest translation, --max-len-b 200"),
    ({"min_len": -1}, "--min-len -1 is too small"),
    ({"max_len_b": 0}, "--min-len 1 exceeds the longest translation, --max-len-b 0"),
    ({"max_len_a": -1.0}, "--max-len-a -1.0 is too small"),
    ({"temperature": 0.0}, "--temperature 0.0 is not a positive number"),
    ({"temperature": float("nan")}, "--temperature nan is not a positive number"),
    ({"lenpen": float("nan")}, "--lenpen nan is not finite"),
    ({"unkpen": float("inf")}, "--unkpen inf is not finite"),
    ({"no_repeat_ngram_size": -1}, "--no-repeat-ngram-size -1 is too small"),
    ({"diverse_beam_groups": 3}, "--beam 5 cannot be divided by --diverse-beam-groups 3.*--beam 6"),
    ({"diverse_beam_groups": 0}, "--diverse-beam-groups 0 is too small"),
    ({"diverse_beam_strength": -1.0}, "--diverse-beam-strength -1.0 is too small"),
    ({"diversity_rate": -0.5}, "--diversity-rate -0.5 is too small"),
    ({"sampling": True, "nbest": 5, "match_source_len": True}, "--sampling and --match-source-len exclude each other"),
    ({"diverse_beam_groups": 5, "diversity_rate": 0.1}, "--diverse-beam-groups and --diversity-rate exclude"),
    ({"replace_unk": "@@ "}, "--replace-unk does not work.*Leave it out"),
    ({"print_step": True}, "--print-step does not work"),
    ({"retain_iter_history": True}, "--retain-iter-history does not work"),
    ({"iter_decode_with_beam": 3}, "--iter-decode-with-beam does not work"),
    ({"beam_mt": 3}, "--beam-mt does not work"),
    ({"decoding_format": "vote"}, "--decoding-format does not work"),
    ({"eos_token": "x"}, "--eos-token does not work"),
    ({"retain_dropout": True, "retain_dropout_modules": ["X"]}, "--retain-dropout-modules does not work"),
    ({"lm_weight": 0.5}, "--lm-weight has no effect without --lm-path"),
    ({"model_overrides": "xx"}, "--model-overrides 'xx' is no dictionary"),
    ({"model_overrides": "[1]"}, r"--model-overrides '\[1\]' is no dictionary"),
    ({"checkpoint_shard_count": 2}, "--checkpoint-shard-count are for checkpoints in parts"),
    ({"max_tokens": 0}, "--max-tokens 0 is too small"),
    ({"batch_size": -3}, "--batch-size -3 is too small"),
]
GENERATE = [
    ({"constraints": "ordered"}, "--constraints does not work with fairseq-generate.*lines of fairseq-interactive"),
    ({"score_reference": True, "print_alignment": "hard"}, "--score-reference and --print-alignment exclude"),
    ({"lm_path": "/none.pt", "lm_weight": 1.0}, "/none.pt: --lm-path: no such file"),
    ({"prefix_size": -1}, "--prefix-size -1 is too small"),
]
INTERACTIVE = [
    ({"score_reference": True}, "--score-reference does not work with fairseq-interactive.*no references"),
    ({"prefix_size": 2}, "--prefix-size does not work with fairseq-interactive"),
    ({"lm_path": "/none.pt"}, "--lm-path does not work with fairseq-interactive"),
    ({"print_alignment": "soft"}, "--print-alignment soft does not work with fairseq-interactive"),
    ({"constraints": "ordered", "sampling": True, "nbest": 5}, "--sampling and --constraints exclude each other"),
    ({"batch_size": 5}, "--batch-size 5 exceeds the 1 line that --buffer-size reads at once. Add --buffer-size 5"),
]


@pytest.mark.parametrize(
    ("command", "given", "said"),
    [(command, *case) for command in ("generate", "interactive") for case in EITHER]
    + [("generate", *case) for case in GENERATE]
    + [("interactive", *case) for case in INTERACTIVE],
)
def test_settings_that_fairseq_crashes_on_or_passes_over_are_refused(command, given, said):
    with pytest.raises(UserError, match=said):
        check_generation_options(settings(**given), command)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("generate", {}),
        ("interactive", {}),
        ("generate", {"sampling": True, "nbest": 5, "sampling_topk": 10}),
        ("generate", {"min_len": 300, "max_len_a": 2.0}),  # it depends on the source
        ("generate", {"diverse_beam_groups": 5, "print_alignment": "soft", "nbest": 3, "prefix_size": 1}),
        ("generate", {"score_reference": True, "model_overrides": "{'dropout': 0.1}"}),
        ("interactive", {"constraints": "unordered", "batch_size": 5, "buffer_size": 8}),
    ],
)
def test_settings_that_work_pass(command, given):
    check_generation_options(settings(**given), command)


def test_fairseq_alone_asserts_what_it_could_say():
    from fairseq_cli import generate

    original = getattr(generate.main, "__wrapped__", generate.main)
    with pytest.raises(AssertionError, match="--sampling requires"):
        original(settings(sampling=True, path="x"))
