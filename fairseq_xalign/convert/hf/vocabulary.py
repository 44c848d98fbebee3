"""The tokenizer of a folder, and which rows of the folder's tables are whose.

``tokenizer.json`` is what `transformers` itself reads, and comes first; then BERT's ``vocab.txt``; then XLM-R's
SentencePiece model, whose ids fairseq moved by one (``<s> <pad> </s> <unk>``, then the pieces, ``<mask>`` last).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import BOS, EOS, FIRST_PIECE, PAD, UNK
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json, read_lines
from fairseq_xalign.tokenizer.foreign import model_in
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

Rows = list[int | None]
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "sentencepiece.bpe.model",
)
"""What `transformers` needs to open the tokenizers of BERT and XLM-R."""
OTHER_CLASSES = ("BertJapaneseTokenizer", "BertweetTokenizer", "PhobertTokenizer", "HerbertTokenizer")
"""Tokenizers of the same architectures that cut words before they look at the vocabulary."""
DICT = "dict.txt"
FAIRSEQ_ORDER = (BOS, PAD, EOS, UNK)
"""The first ids of fairseq, which are ours."""


@dataclass
class Vocabulary:
    """A tokenizer and how a folder orders its ids.

    Attributes:
        tokenizer: in our order.
        rows: by our id the row in the folder's tables, None for a symbol that the folder does not have; None
            altogether if the tokenizer's own foreign ids are the rows.
        files: the tokenizer's files, compressed, by name; None for the one that the tokenizer holds.
    """

    tokenizer: Tokenizer
    rows: Rows | None
    files: dict[str, bytes | None]

    @property
    def all_rows(self) -> Rows:
        """By our id, the row."""
        return self.rows if self.rows is not None else self.tokenizer.to_foreign(range(len(self.tokenizer)))


def vocabulary_in(folder: Path) -> Vocabulary:
    """The tokenizer of a folder of `transformers`.

    Raises:
        UserError: none that is supported, or a damaged one.
    """
    config = folder / "tokenizer_config.json"
    said = read_json(config) if config.exists() else {}
    name = said.get("tokenizer_class") if isinstance(said, dict) else None
    if name in OTHER_CLASSES:
        raise UserError(
            f"the tokenizer {name} is not supported", config, remedy="Those of BERT, XLM-RoBERTa and RoBERTa are"
        )
    file = model_in(folder)
    if file is None:
        raise UserError(
            "no tokenizer in this folder",
            folder,
            remedy="It must have tokenizer.json, vocab.txt or sentencepiece.bpe.model; where it has vocab.json and "
            "merges.txt, open it with transformers' AutoTokenizer and save it again",
        )
    tokenizer = Tokenizer.adopted(file)
    rows = fairseq_rows(tokenizer) if tokenizer.kind == "sentencepiece" else None
    return Vocabulary(tokenizer, rows, kept_files(folder, tokenizer))


def fairseq_vocabulary(folder: Path) -> Vocabulary:
    """The SentencePiece model and ``dict.txt`` of a model that fairseq released.

    Raises:
        UserError: one is missing, or they do not list the same pieces.
    """
    file, listed = folder / "sentencepiece.bpe.model", folder / DICT
    for path in (file, listed):
        if not path.exists():
            raise UserError("missing beside model.pt", path, remedy="Unpack the whole archive that fairseq released")
    tokenizer = Tokenizer.adopted(file)
    places = {}
    for number, line in read_lines(listed):
        places[line.rpartition(" ")[0]] = len(FAIRSEQ_ORDER) + number - 1
    if "<mask>" not in places:
        places["<mask>"] = len(FAIRSEQ_ORDER) + len(places)
    rows: Rows = [*FAIRSEQ_ORDER, places["<mask>"]]
    for number in range(FIRST_PIECE, len(tokenizer)):
        piece = tokenizer.model.piece(tokenizer.to_foreign([number])[0] or 0)
        if piece not in places:
            raise UserError(
                f"does not list the piece {piece!r} of {file.name}", listed, remedy="Unpack the whole archive again"
            )
        rows.append(places[piece])
    return Vocabulary(tokenizer, None if rows == tokenizer.to_foreign(range(len(tokenizer))) else rows,
                      kept_files(folder, tokenizer))  # fmt: skip


def fairseq_rows(tokenizer: Tokenizer) -> Rows:
    """Rows of a table in fairseq's order for a SentencePiece model as it was trained: <unk> <s> </s>, then pieces."""
    foreign = tokenizer.to_foreign(range(FIRST_PIECE, len(tokenizer)))
    return [*FAIRSEQ_ORDER, tokenizer.model.size + 1, *(None if i is None else i + 1 for i in foreign)]


def kept_files(folder: Path, tokenizer: Tokenizer) -> dict[str, bytes | None]:
    """The tokenizer's files of a folder, as ``task_state["foreign"]["files"]`` keeps them."""
    files: dict[str, bytes | None] = {}
    for name in TOKENIZER_FILES:
        if (folder / name).exists():
            data = (folder / name).read_bytes()
            files[name] = None if data == tokenizer.model_bytes else zlib.compress(data)
    return files


def tokenizer_files(task_state: Mapping[str, Any]) -> dict[str, bytes]:
    """The original files of the tokenizer that a converted checkpoint came with, by name."""
    own = task_state["tokenizer"]["model_bytes"]
    files = task_state["foreign"]["files"]
    return {name: own if data is None else zlib.decompress(data) for name, data in files.items()}
