"""A SentencePiece model as a tokenizer of the library ``tokenizers``, which cuts text into the same pieces.

Two things differ in that library. Its normaliser ``Precompiled`` reads the model's table of characters by grapheme:
a letter with two accents loses the second (``e``, U+0323, U+0301), and long graphemes are not composed at all. Here
the table is applied to single characters, and accents are composed afterwards, where SentencePiece composes them. And
white space is what Python's ``str.split`` takes for it, since our tokenizers read words.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.models import ESCAPES, SPACE
from fairseq_xalign.tokenizer.proto import USER_DEFINED, Contents

WHITE_SPACE = (
    r"[\x{9}-\x{d}\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
)
"""What ``str.split`` cuts text at, as the library's regular expressions write it."""
APART, ALONE = "\ufdd2", "\ufdd3"
"""Non-characters that stand between two characters while text is normalised: those that do not compose, and all."""
UNREACHABLE = "\x00"
"""How the names of pieces begin that no text is cut into: NUL is in no text."""


def sentencepiece_tokenizer(model: Contents, symbols: Sequence[tuple[str, float]], unk: int) -> Any:
    """Return a ``tokenizers.Tokenizer``, without special symbols and post-processing.

    Args:
        model: what the model file says.
        symbols: name and score of each symbol, by the id that it is to have.
        unk: the id of the unknown symbol.

    Raises:
        UserError: a model of words or characters, or one that marks the ends of words.
    """
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    if model.suffixed or model.model_type not in ("unigram", "bpe"):
        kind = "marks the ends of words" if model.suffixed else f"is of type {model.model_type}"
        raise UserError(
            f"the SentencePiece model {kind}, which the library tokenizers does not have",
            remedy="Only models of type unigram and bpe, which mark the beginnings of words, can be written",
        )
    if model.model_type == "unigram":
        library_model: Any = models.Unigram(list(symbols), unk_id=unk, byte_fallback=model.byte_fallback)
    else:
        ids = {name: number for number, (name, _) in enumerate(symbols)}
        library_model = models.BPE(
            ids, _merges(model), unk_token=symbols[unk][0], fuse_unk=True, byte_fallback=model.byte_fallback
        )
    result = tokenizers.Tokenizer(library_model)
    names = {name for name, _, _ in model.pieces}
    escapes = {chr(own): chr(other) for own, other in ESCAPES.items() if chr(other) in names}
    result.normalizer = normalizers.Sequence(_normalizers(model.charsmap, escapes))
    result.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=True)
    decoding: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    decoding.append(decoders.Strip(" ", 1, 0))
    decoding += [decoders.Replace(other, own) for own, other in escapes.items()]
    result.decoder = decoders.Sequence(decoding)
    result.add_tokens(
        [
            tokenizers.AddedToken(name, normalized=False, special=False)
            for name, _, kind in model.pieces
            if kind == USER_DEFINED
        ]
    )
    return result


def _merges(model: Contents) -> list[tuple[str, str]]:
    """The pairs that BPE merges, best first: each piece that two others make, by its score."""
    names = {name for name, _, _ in model.pieces}
    found = [
        (-score, number, cut, name)
        for number, (name, score, _) in enumerate(model.pieces)
        for cut in range(1, len(name))
        if name[:cut] in names and name[cut:] in names
    ]
    return [(name[:cut], name[cut:]) for _, _, cut, name in sorted(found)]


def _normalizers(charsmap: bytes, escapes: dict[str, str]) -> list[Any]:
    """The steps from text to what the model cuts."""
    from tokenizers import Regex
    from tokenizers import normalizers as library

    steps: list[Any] = [library.Replace(Regex(WHITE_SPACE), " ")]
    steps += [library.Replace(own, other) for own, other in escapes.items()]
    if charsmap:
        steps += [
            library.Replace(Regex(not_composed()), APART),
            library.Replace(Regex(r"(?!\A)(?=[\p{M}\x{ff9e}\x{ff9f}])"), ALONE),
            library.Precompiled(charsmap),
            library.Replace(ALONE, ""),
            library.NFC(),
            library.Replace(APART, ""),
        ]
    return [*steps, library.Replace(Regex(" {2,}"), " "), library.Strip()]


@cache
def not_composed() -> str:
    """A regular expression for the places where Unicode's normalisation would compose characters or sort accents,
    and SentencePiece does not.

    Its table has whole characters and all their parts (``e``, U+0302, U+0301), but nothing between (``ê``, U+0301), and
    leaves the order of accents as it is: accents compose together only if some character has them in this order.
    """
    following: dict[str, set[str]] = defaultdict(set)
    composed: set[str] = set()
    for character in map(chr, range(0x110000)):
        if len(unicodedata.normalize("NFKD", character)) > 1:
            composed.add(character)
        parts = unicodedata.normalize("NFD", character)
        if len(parts) > 1 and unicodedata.normalize("NFC", parts) == character:
            for one, other in zip(parts, parts[1:]):
                if unicodedata.category(one)[0] == unicodedata.category(other)[0] == "M":
                    following[one].add(other)
    before: dict[frozenset[str], set[str]] = defaultdict(set)
    for one, others in following.items():
        before[frozenset(others)].add(one)
    pairs = sorted(f"(?<={_any_of(ones)}){_any_of(others)}" for others, ones in before.items())
    accents = rf"(?<=\p{{M}})(?=[\p{{M}}\x{{ff9e}}\x{{ff9f}}])(?!{'|'.join(pairs)})"
    return rf"(?<={_any_of(composed)})(?=[\p{{M}}\x{{1161}}-\x{{11ff}}\x{{ff9e}}\x{{ff9f}}])|{accents}"


def _any_of(characters: Iterable[str]) -> str:
    """A class of characters, with neighbours as ranges."""
    ranges: list[list[int]] = []
    for number in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return "[" + "".join(f"\\x{{{a:x}}}" + (f"-\\x{{{b:x}}}" if b > a else "") for a, b in ranges) + "]"
