"""Pairs of sentences in the lengths of real translations, and fairseq's transformer with our shape and weights."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.constants import EOS, FIRST_PIECE, PAD
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.translation import TranslationModel

# Source and target tokens, </s> included, of NTREX-128 English-German (1,997 pairs, joint BPE of 8,000): the pairs in
# the middle of each 64th of the corpus, ordered by the sum of both.
LENGTHS = (
    "6:8 8:9 10:11 13:10 11:14 12:15 15:14 14:16 15:17 17:16 17:18 14:22 19:18 19:19 16:24 21:20 19:24 20:24 19:27 "
    "21:26 26:22 23:26 21:30 24:28 26:27 25:29 25:31 28:29 29:30 33:27 31:30 29:34 35:29 32:34 35:32 33:36 35:36 34:38 "
    "35:38 32:42 34:42 38:39 39:40 35:45 42:40 38:46 38:48 44:44 44:46 41:51 46:47 44:51 44:54 45:55 49:55 51:55 51:58 "
    "55:58 54:63 54:67 57:71 58:77 76:71 81:86"
)
POSITIONS = 256
OFFSET = PAD + 1
"""fairseq's positions begin here."""
Pair = tuple[Tensor, Tensor]
"""Source and target ids, each ending in </s>, int64."""


def make_pairs(count: int, vocabulary: int, seed: int) -> list[Pair]:
    """``count`` pairs of random pieces in random order; each of ``LENGTHS`` is as frequent as the others.

    The first piece of a source stands for ``<2xx>``.
    """
    lengths = [tuple(map(int, pair.split(":"))) for pair in LENGTHS.split()]
    chosen = [lengths[i * len(lengths) // count % len(lengths)] for i in range(count)]
    random.Random(seed).shuffle(chosen)
    generator = torch.Generator().manual_seed(seed)

    def text(size: int) -> Tensor:
        return torch.cat(
            [torch.randint(FIRST_PIECE, vocabulary, (size - 1,), generator=generator), torch.tensor([EOS])]
        )

    return [(text(source + 1), text(target)) for source, target in chosen]


def our_model(layers: int, width: int, ffn_width: int, heads: int, vocabulary: int, dropout: float) -> TranslationModel:
    """A model of ours of the shape of fairseq's ``transformer``: post-norm, learned positions, everything tied."""
    common: dict[str, Any] = {"vocab_size": vocabulary, "layers": layers, "heads": heads, "width": width}
    common |= {"ffn_width": ffn_width, "positions": "learned", "max_positions": POSITIONS, "normalize_before": False}
    common |= {"embedding_layernorm": False, "embedding_scale": 0.0, "embedding_std": 0.0, "activation": "relu"}
    common |= {"dropout": dropout, "attention_dropout": 0.0, "initializer": "xavier"}
    encoder = EncoderConfig.from_dict({**common, "lm_head_transform": False, "lm_head_bias": False})
    return TranslationModel(encoder, DecoderConfig.from_dict({**common, "tying": "all"}))


def fairseq_task_and_model(model: TranslationModel, dropout: float, *options: object) -> tuple[Any, Any, Any]:
    """fairseq's configuration, task ``translation`` and model ``transformer``, of the shape of ``model``."""
    from fairseq import options as fairseq_options
    from fairseq import tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    config = model.encoder.config
    with tempfile.TemporaryDirectory() as folder:
        for language in ("xx", "yy"):  # four symbols are fairseq's own
            lines = "".join(f"w{i} 1\n" for i in range(4, config.vocab_size))
            Path(folder, f"dict.{language}.txt").write_text(lines, encoding="utf-8")
        command: list[Any] = [folder, "--task", "translation", "-s", "xx", "-t", "yy", "--arch", "transformer"]
        for side in ("encoder", "decoder"):
            command += [f"--{side}-layers", config.layers, f"--{side}-embed-dim", config.width]
            command += [f"--{side}-ffn-embed-dim", config.ffn_width, f"--{side}-attention-heads", config.heads]
            command += [f"--{side}-learned-pos"]
        command += ["--max-source-positions", POSITIONS, "--max-target-positions", POSITIONS, "--dropout", dropout]
        command += ["--share-all-embeddings", "--optimizer", "adam", "--lr", "1e-4", "--cpu", *options]
        parser = fairseq_options.get_training_parser()
        words = [str(word) for word in command]
        cfg = convert_namespace_to_omegaconf(fairseq_options.parse_args_and_arch(parser, words))
        task = tasks.setup_task(cfg.task)
    if len(task.target_dictionary) != config.vocab_size:
        raise SystemExit(f"fairseq's vocabulary has {len(task.target_dictionary)} symbols, not {config.vocab_size}")
    return cfg, task, task.build_model(cfg.model)


@torch.no_grad()
def copy_weights(ours: TranslationModel, theirs: Any) -> None:
    """Give fairseq's transformer the weights of a model of ours; every one of them is set."""
    values: dict[str, Tensor] = {}

    def put(prefix: str, names: Sequence[str], module: Any) -> None:
        for kind in ("weight", "bias"):
            for name, part in zip(names, getattr(module, kind).chunk(len(names))):
                values[f"{prefix}.{name}.{kind}"] = part

    for side, mine in (("encoder", ours.encoder), ("decoder", ours.decoder)):
        values[f"{side}.embed_tokens.weight"] = ours.encoder.embed_tokens.weight
        values[f"{side}.embed_positions.weight"] = torch.cat(
            [torch.zeros(OFFSET, ours.encoder.config.width), mine.embed_positions.weight]
        )
        for number, layer in enumerate(mine.layers):
            prefix = f"{side}.layers.{number}"
            put(f"{prefix}.self_attn", ["q_proj", "k_proj", "v_proj"], layer.qkv)
            put(f"{prefix}.self_attn", ["out_proj"], layer.attention_out)
            for name, module in (("self_attn_layer_norm", layer.attention_norm), ("fc1", layer.ffn_in)):
                put(prefix, [name], module)
            for name, module in (("fc2", layer.ffn_out), ("final_layer_norm", layer.ffn_norm)):
                put(prefix, [name], module)
            if side == "decoder":
                put(f"{prefix}.encoder_attn", ["q_proj"], layer.memory_q)
                put(f"{prefix}.encoder_attn", ["k_proj", "v_proj"], layer.memory_kv)
                put(f"{prefix}.encoder_attn", ["out_proj"], layer.memory_out)
                put(prefix, ["encoder_attn_layer_norm"], layer.memory_norm)
    values["decoder.output_projection.weight"] = ours.encoder.embed_tokens.weight
    own = {name for name in theirs.state_dict() if not name.endswith(".version")}
    assert own == set(values), f"{own ^ set(values)}"
    theirs.load_state_dict(values, strict=False)
