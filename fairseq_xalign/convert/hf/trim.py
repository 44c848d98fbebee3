"""Trim the vocabulary of a folder that was opened to the pieces that some languages use.

What is kept are the special symbols, all single characters and bytes (so that no text becomes unknown that was not),
and of the other pieces those that the corpora use, or the most frequent of them. The rows of kept pieces do not change
by a bit, so hidden states of text that is cut into kept pieces alone stay as they were.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign import cli
from fairseq_xalign.constants import FIRST_PIECE
from fairseq_xalign.convert.hf.layouts import LAYOUTS, VOCABULARY
from fairseq_xalign.convert.hf.vocabulary import fairseq_rows
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.tokenizer.foreign import layout_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from fairseq_xalign.tokenizer.trimming import is_basic, trimmed_model

ID_SETTINGS = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id", "mask_token_id")
"""Settings in ``config.json`` that are ids."""
WORDS = 1 << 20
"""Different words of a corpus that are counted before their pieces are."""
Corpora = Mapping[str, Iterable[str | Path]]


def used_pieces(tokenizer: Tokenizer, corpora: Corpora) -> dict[int, float]:
    """By our id, how often corpora use a piece: the sum over languages of its share of the language's pieces.

    Every language counts alike, whatever the size of its corpus.

    Args:
        corpora: the files of each language, one sentence per line.

    Raises:
        UserError: a file that cannot be read, or a language without text.
    """
    shares: dict[int, float] = {}
    for language, files in corpora.items():
        own: Counter[int] = Counter()
        for path in files:
            words: Counter[str] = Counter()
            for _, line in cli.progress(read_lines(path), f"counting pieces of {language}"):
                words.update(line.split())
                if len(words) > WORDS:
                    _count(tokenizer, words, own)
                    words.clear()
            _count(tokenizer, words, own)
        count = sum(own.values())
        if not count:
            raise UserError(f"no text in {language}", next(iter(files), None), remedy="Give a file with sentences")
        for number, times in own.items():
            shares[number] = shares.get(number, 0.0) + times / count
    return shares


def _count(tokenizer: Tokenizer, words: Mapping[str, int], pieces: Counter[int]) -> None:
    for word, times in words.items():
        for number in tokenizer.encode(word):
            pieces[number] += times


def kept_ids(tokenizer: Tokenizer, used: Mapping[int, float], limit: int | None) -> list[int]:
    """Our ids of the pieces to keep, in order: specials, single characters, and what is used.

    Args:
        limit: how many symbols to keep in all; the most used are chosen. None keeps all that are used.

    Raises:
        UserError: ``limit`` has no room for what is always kept.
    """
    symbols = tokenizer.symbols()
    always = {*range(FIRST_PIECE), *tokenizer.language_ids}
    always |= {number for number in tokenizer.natural_ids if is_basic(symbols[number])}
    others = sorted((n for n in used if n not in always), key=lambda number: (-used[number], number))
    if limit is not None:
        if limit < len(always):
            raise UserError(
                f"--keep {limit}: {len(always)} symbols are always kept: special ones and single characters",
                remedy=f"Give {len(always)} or more",
            )
        others = others[: limit - len(always)]
    return sorted({*always, *others})


def trim(state: Mapping[str, Any], corpora: Corpora, limit: int | None = None) -> dict[str, Any]:
    """Return what :func:`read.open_folder` returned with a smaller vocabulary.

    Args:
        state: ``model`` and ``task_state``; its large tables are replaced in place, to save memory.
        corpora: the files of each language.
        limit: how many symbols to keep in all, or None for all that the corpora use.

    Raises:
        UserError: a vocabulary that cannot be trimmed (BPE), or a limit that is too small.
    """
    task, model = dict(state["task_state"]), state["model"]
    before = Tokenizer.from_state(task["tokenizer"])
    kept = kept_ids(before, used_pieces(before, corpora), limit)
    rows = [row for row in before.to_foreign(kept) if row is not None]
    where = task["foreign"]["config"].get("_name_or_path")
    data, old = trimmed_model(before.kind, before.model_bytes, rows, where)
    layout = layout_of(before.kind, data, {**before.options}, Path("tokenizer"), languages=list(corpora))
    tokenizer = Tokenizer(before.kind, data, layout)
    foreign_of_new = tokenizer.to_foreign(range(len(tokenizer)))
    # a special symbol that the model file does not list (XLM-R's <mask>) keeps its own row
    source = [i if f is None else before.from_foreign([old[f]])[0] for i, f in enumerate(foreign_of_new)]
    chosen = torch.tensor(source)
    for name in VOCABULARY:
        if f"encoder.{name}" in model:
            model[f"encoder.{name}"] = model[f"encoder.{name}"][chosen]
    layout_names = LAYOUTS[task["foreign"]["layout"]]
    for name in (layout_names.outer["embed_tokens.weight"], layout_names.head["lm_bias"]):
        model.pop(f"foreign.{name}", None)  # rows that no symbol uses
    task["encoder"] = {**task["encoder"], "vocab_size": len(tokenizer)}
    task["tokenizer"] = tokenizer.state()
    task["foreign"] = _foreign(task, before, tokenizer, old)
    return {"model": model, "task_state": task}


def _foreign(task: Mapping[str, Any], before: Tokenizer, tokenizer: Tokenizer, old: list[int]) -> dict[str, Any]:
    """The settings and files of the trimmed model, as the others have them."""
    foreign = dict(task["foreign"])
    rows = fairseq_rows(tokenizer) if tokenizer.kind == "sentencepiece" else None
    place = _new_rows(foreign["rows"], before, rows, tokenizer, old)
    size = max(row for row in rows or tokenizer.to_foreign(range(len(tokenizer))) if row is not None) + 1
    config = {**foreign["config"], "vocab_size": size}
    for name in ID_SETTINGS:
        if isinstance(config.get(name), int):
            config[name] = place.get(config[name])
    files: dict[str, bytes | None] = {}
    for name, packed in foreign["files"].items():
        if packed is None:  # the model itself, which the tokenizer holds
            files[name] = None
        elif name == "tokenizer_config.json":
            files[name] = zlib.compress(_config_with_new_ids(zlib.decompress(packed), place))
        elif name == "special_tokens_map.json":
            files[name] = packed
        # other files describe the whole vocabulary once more, and tokenizer.json is enough
    trimmed = {"before": task["encoder"]["vocab_size"], "after": len(tokenizer), "languages": tokenizer.languages}
    return {**foreign, "rows": rows, "config": config, "files": files, "trimmed": trimmed}


def _new_rows(
    rows_before: list[int | None] | None,
    before: Tokenizer,
    rows: list[int | None] | None,
    tokenizer: Tokenizer,
    old: list[int],
) -> dict[int, int]:
    """The new row by the old row of every symbol that is kept."""
    first = rows_before or before.to_foreign(range(len(before)))
    second = rows or tokenizer.to_foreign(range(len(tokenizer)))
    result = {}
    for number, foreign in enumerate(tokenizer.to_foreign(range(len(tokenizer)))):
        was = number if foreign is None else before.from_foreign([old[foreign]])[0]
        old_row, new_row = first[was], second[number]
        if old_row is not None and new_row is not None:
            result[old_row] = new_row
    return result


def _config_with_new_ids(data: bytes, place: Mapping[int, int]) -> bytes:
    """``tokenizer_config.json`` whose list of added tokens has the new ids."""
    config = json.loads(data)
    added = config.get("added_tokens_decoder")
    if isinstance(added, dict):
        config["added_tokens_decoder"] = {
            str(place[int(number)]): token for number, token in added.items() if int(number) in place
        }
    return json.dumps(config, ensure_ascii=False, indent=2).encode()
