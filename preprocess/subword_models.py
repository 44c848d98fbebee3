"""The training of subword models by the libraries: SentencePiece (unigram, BPE) and byte-level BPE.

Each takes an iterator of texts and gives the bytes of a model file whose ids are ours: the special symbols 0 to 4,
ordinary pieces from 5. The same texts give the same bytes. A library's errors are reported in terms of our options.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

from fairseq_xalign.constants import (
    BOS,
    BOS_SYMBOL,
    EOS,
    EOS_SYMBOL,
    FIRST_PIECE,
    MASK_SYMBOL,
    PAD,
    PAD_SYMBOL,
    SPECIAL_SYMBOLS,
    UNK,
    UNK_SYMBOL,
)
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.models import ESCAPES, HIDDEN
from fairseq_xalign.tokenizer.proto import UNSPELLABLE, with_usual_names

TRAINING_THREADS = 16
"""Fixed, not the machine's: sums of counts depend on how many threads share them."""
COVERAGE = (0.98, 1.0)
"""The range of character coverage that SentencePiece takes."""
BBPE_MIN_FREQUENCY = 2
"""A pair that occurs once is not merged: the default of the library, and of RoBERTa-like vocabularies made with it."""
LARGEST_VOCABULARY = 10_000_000
"""Far above any vocabulary in use; sizes beyond 32 bits would reach the libraries as other numbers."""


def train_sentencepiece(
    texts: Iterator[str], pieces: int, model_type: str, coverage: float, very_many: bool = False
) -> bytes:
    """Train a SentencePiece model whose ids are ours: specials 0 to 4, ordinary pieces from 5.

    Raises:
        UserError: if the text is too small for so many pieces, or has too many characters for so few.
    """
    import sentencepiece

    failed: list[UserError] = []

    def guarded() -> Iterator[str]:
        try:
            for text in texts:
                yield text if text.isascii() else text.translate(ESCAPES)
        except UserError as error:  # the library would turn it into an error of its own
            failed.append(error)
            raise

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=guarded(),
            model_writer=model,
            vocab_size=pieces + FIRST_PIECE,
            model_type=model_type,
            character_coverage=coverage,
            bos_id=BOS,
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            bos_piece=UNSPELLABLE[BOS_SYMBOL],
            pad_piece=UNSPELLABLE[PAD_SYMBOL],
            eos_piece=UNSPELLABLE[EOS_SYMBOL],
            unk_piece=UNSPELLABLE[UNK_SYMBOL],
            control_symbols=[UNSPELLABLE[MASK_SYMBOL]],
            # Encoding goes word by word, so a word must look the same alone as in its sentence.
            add_dummy_prefix=True,
            split_by_whitespace=True,
            remove_extra_whitespaces=True,
            input_sentence_size=0,  # the lines are drawn already
            max_sentence_length=1 << 30,  # by default longer lines than 4192 bytes are dropped
            num_threads=TRAINING_THREADS,
            train_extremely_large_corpus=very_many,
            minloglevel=2,
        )
    except (RuntimeError, UserError) as error:
        if failed:
            raise failed[0] from None
        raise explained(str(error), pieces) from error
    return with_usual_names(model.getvalue())


def train_byte_level(texts: Iterator[str], pieces: int) -> bytes:
    """Train a byte-level BPE model (Radford et al. 2019) whose ids are ours, as a ``tokenizer.json``.

    Text is cut at white space and by GPT-2's pattern, every word as it looks behind a space. All 256 bytes have a
    piece, so that no text has an unknown part.

    Raises:
        UserError: if the text is too small for so many pieces, or there are fewer pieces than bytes.
    """
    import tokenizers

    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    if pieces < len(alphabet):
        raise UserError(
            f"--vocab-size {pieces} is too small: every byte has a piece, which makes {len(alphabet)}",
            remedy=f"Use --vocab-size {len(alphabet)} or more",
        )
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=pieces + FIRST_PIECE,
        min_frequency=BBPE_MIN_FREQUENCY,
        # A merge that spells a symbol would be given the symbol's id: hidden names cannot be spelled.
        special_tokens=[HIDDEN + symbol for symbol in SPECIAL_SYMBOLS],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    # Words one by one: as encoding sees them, each behind a space.
    model.train_from_iterator((word for text in texts for word in text.split()), trainer)
    vocabulary = model.get_vocab()
    found = len(vocabulary) - FIRST_PIECE
    if found < pieces:
        raise too_large(pieces, found)
    whole = model.to_str()
    for symbol in SPECIAL_SYMBOLS:
        if symbol not in vocabulary:
            whole = whole.replace(json.dumps(HIDDEN + symbol), json.dumps(symbol))
    return whole.encode()


def too_large(pieces: int, largest: int) -> UserError:
    """The error for more pieces than the text gives."""
    return UserError(
        f"--vocab-size {pieces} is too large for this text: the largest possible is {largest}",
        remedy=f"Use --vocab-size {largest} or less, or more text",
    )


def explained(message: str, pieces: int) -> UserError:
    """SentencePiece's complaint in our terms."""
    if found := re.search(r"Vocabulary size too high \(\d+\).*value <= (\d+)", message):
        return too_large(pieces, int(found[1]) - FIRST_PIECE)
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        smallest = int(found[1]) - FIRST_PIECE
        return UserError(
            f"--vocab-size {pieces} is too small: the text's characters alone need {smallest}",
            remedy=f"Use --vocab-size {smallest} or more, or a lower --character-coverage",
        )
    if "all_chars_count" in message:
        return UserError(
            "the text has no character that SentencePiece keeps", remedy="Give text with words, or --model-type bbpe"
        )
    remedy = "Try more text or a smaller --vocab-size"
    said = " ".join(message.split())
    return UserError(f"SentencePiece could not train: {said}", remedy=remedy)
