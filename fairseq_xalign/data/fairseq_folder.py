"""Folders made by fairseq-preprocess: which of their files are recognised, and a manifest that describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import DICT_FILE, EOS, MANIFEST_FILE, SPLITS
from fairseq_xalign.data.manifest import format_of, stream_languages
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError
from fairseq_xalign.options import LANGUAGE, pair_name
from fairseq_xalign.tokenizer.vocabulary import read_dict, symbols_sha256

UNNAMED_LANGUAGE = "und"
"""ISO 639's code for an undetermined language: fairseq's ``train.bin`` does not say whose text it holds."""
FAIRSEQ_BITEXT = re.compile(r"(?P<split>train|valid|test)\.(?P<pair>[^.]+-[^.]+)\.(?P<language>[^.]+)")
FAIRSEQ_NAMES = (
    "{split}.{xx}-{yy}.{xx} and .{yy} (bitext); {split}.{xx}-None.{xx} and {xx}/{split} (text in xx); "
    f"{{split}} (text in a language that is called {UNNAMED_LANGUAGE!r}), each with .bin and .idx"
)
"""The files of fairseq-preprocess that are recognised, for messages."""


def fairseq_dict(path: Path) -> Path:
    """The dictionary of such a folder: ``dict.txt``, or ``dict.{xx}.txt`` when all are the same."""
    if (path / DICT_FILE).exists():
        return path / DICT_FILE
    files = sorted(path.glob("dict.*.txt"))
    if not files:
        raise UserError(
            f"not a data folder: it has neither {MANIFEST_FILE} nor {DICT_FILE}",
            path,
            remedy="Make one with `xalign-preprocess binarize --output`",
        )
    if len({file.read_bytes() for file in files}) > 1:
        raise UserError(
            f"{' and '.join(file.name for file in files)} differ: one vocabulary must serve all languages",
            path,
            remedy="Run fairseq-preprocess with --joined-dictionary",
        )
    return files[0]


def fairseq_manifest(path: Path) -> dict[str, Any]:
    """A manifest for a folder made by fairseq-preprocess, without checksums and counts of ``<unk>``.

    Names recognised: see :data:`FAIRSEQ_NAMES`. Lengths are read from the indices.
    """
    symbols = read_dict(fairseq_dict(path))
    mono: dict[tuple[str, str], str] = {}
    sides: dict[tuple[str, str], dict[str, str]] = {}
    for file in sorted(path.glob("*.idx")):
        prefix = file.name.removesuffix(".idx")
        match = FAIRSEQ_BITEXT.fullmatch(prefix)
        if prefix in SPLITS:
            mono[prefix, UNNAMED_LANGUAGE] = prefix
        elif match and match["pair"] == f"{match['language']}-None":
            mono[match["split"], match["language"]] = prefix
        elif match and f"-{match['language']}-" in f"-{match['pair']}-":
            sides.setdefault((match["split"], match["pair"]), {})[match["language"]] = prefix
    for file in sorted(path.glob("*/*.idx")):
        language, split = file.parent.name, file.name.removesuffix(".idx")
        if split in SPLITS and LANGUAGE.fullmatch(language):
            mono[split, language] = f"{language}/{split}"
    streams: list[dict[str, Any]] = []
    for (split, language), prefix in mono.items():
        sentences, tokens, longest, files = _counts(path, [prefix])
        streams.append(
            {"kind": "mono", "language": language, "split": split, "sentences": sentences[0], "tokens": tokens[0]}
        )
        streams[-1] |= {"longest": longest[0], "unknown": None, "files": files, "source": {}, "dropped": {}}
    for (split, pair), prefixes in sides.items():
        source, target = _pair_of(pair, prefixes, split, path)
        sentences, tokens, longest, files = _counts(path, [prefixes[source], prefixes[target]])
        if sentences[0] != sentences[1]:
            raise UserError(
                f"{split}.{source}-{target} has {sentences[0]} sentences in {source}, but {sentences[1]} in {target}",
                path,
                remedy="Run fairseq-preprocess again on parallel files",
            )
        streams.append({"kind": "bitext", "source_language": source, "target_language": target, "split": split})
        streams[-1] |= {
            "sentences": sentences[0],
            "tokens": tokens,
            "longest": longest,
            "unknown": None,
            "files": files,
        }
        streams[-1] |= {"source": {}, "dropped": {}}
    if not streams:
        raise UserError(
            f"not a data folder: it has neither {MANIFEST_FILE} nor a file of text that is recognised",
            path,
            remedy=f"Names that are recognised: {FAIRSEQ_NAMES}",
        )
    languages = list(dict.fromkeys(name for stream in streams for name in stream_languages(stream)))
    return {
        "format": format_of(streams),
        "languages": languages,
        "vocabulary": {"size": len(symbols), "sha256": symbols_sha256(symbols)},
        "tokenizer": None,
        "streams": streams,
    }


def _pair_of(pair: str, prefixes: Mapping[str, str], split: str, path: Path) -> tuple[str, str]:
    """Split the name of a pair between the languages of its two files: codes may have hyphens too."""
    pairs = [(a, b) for a in prefixes for b in prefixes if a != b and f"{a}-{b}" == pair]
    if len(pairs) == 1:
        return pairs[0]
    if pairs:
        names = " or ".join(map(pair_name, pairs))
        raise UserError(
            f"{split}.{pair} is ambiguous: it can be {names}", path, remedy="Move the files of one of them away"
        )
    raise UserError(
        f"{split}.{pair} has only one side: {next(iter(prefixes.values()))}",
        path,
        remedy="Copy the .bin and .idx of the other side here, or move those of this side away",
    )


def _counts(path: Path, prefixes: list[str]) -> tuple[list[int], list[int], list[int], dict[str, dict[str, Any]]]:
    """Items, ids, longest of each prefix, and the files with their sizes; UserError where no ``</s>`` ends them."""
    mapped = [MappedTokens(path / prefix) for prefix in prefixes]
    for tokens in mapped:
        for index in (
            sorted({0, len(tokens) - 1}) if len(tokens) else ()
        ):  # constant time; fairseq ends all items or none
            if tokens[index][-1:].tolist() != [EOS]:
                raise UserError(
                    f"sentence {index} does not end in </s>",
                    f"{tokens.prefix}.bin",
                    remedy="Run fairseq-preprocess again without turning off its append_eos, or binarize the text "
                    "with `xalign-preprocess binarize`",
                )
    files = [f"{prefix}{part}" for prefix in prefixes for part in (".bin", ".idx")]
    return (
        [len(m) for m in mapped],
        [len(m.tokens) for m in mapped],
        [int(m.sizes.max(initial=0)) for m in mapped],
        {name: {"size": (path / name).stat().st_size, "sha256": None} for name in files},
    )
