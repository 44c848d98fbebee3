"""Names of symbols in SentencePiece's model files: found, changed in place, and nothing else touched."""

import io
import re

import pytest
import sentencepiece

from fairseq_xalign.constants import FIRST_PIECE, SPECIAL_SYMBOLS
from fairseq_xalign.tokenizer.proto import UNSPELLABLE, piece_names, with_usual_names, without_matches
from preprocess.subword_models import train_sentencepiece
from tests.support.small_tokenizers import LINES


def trained(lines=LINES, **options) -> bytes:
    """A model trained by the library itself, with our ids and 400 pieces."""
    model = io.BytesIO()
    # Every setting that is given is in the file, so these are all of those that training gives.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=405, bos_id=0, pad_id=1, eos_id=2, unk_id=3,
        character_coverage=1.0, input_sentence_size=0, max_sentence_length=1 << 30, num_threads=16, minloglevel=2,
        add_dummy_prefix=True, split_by_whitespace=True, remove_extra_whitespaces=True,
        train_extremely_large_corpus=False, **{"model_type": "bpe", **options},
    )  # fmt: skip
    return model.getvalue()


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_text_without_symbols_gives_the_very_file_of_a_training_under_the_usual_names(model_type):
    usual = trained(model_type=model_type, control_symbols=["<mask>"])
    assert train_sentencepiece(iter(LINES), 400, model_type, 1.0) == usual
    assert with_usual_names(usual) == usual


def test_the_names_that_are_found_are_the_librarys_own():
    data = trained(control_symbols=["<mask>"])
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    names = [data[name].decode() for name, _ in piece_names(data)]
    assert names == [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def test_a_symbol_whose_name_is_an_ordinary_piece_keeps_the_other_name():
    data = bytearray(trained(control_symbols=[UNSPELLABLE["<mask>"]]))
    places = [
        name for name, kind in piece_names(bytes(data)) if kind is None and name.stop - name.start == len("<mask>")
    ]
    data[places[0]] = b"<mask>"
    data = with_usual_names(bytes(data))
    names = [data[name].decode() for name, _ in piece_names(data)]
    assert names.count("<mask>") == 1 and names.index("<mask>") >= FIRST_PIECE
    assert names[:FIRST_PIECE] == [*SPECIAL_SYMBOLS[:-1], UNSPELLABLE["<mask>"]]


def test_user_defined_pieces_of_the_given_names_become_control_symbols():
    data = trained(user_defined_symbols=["<mask>", "keep"])
    changed = without_matches(data, re.compile(b"<mask>|<pad>"))
    assert len(changed) == len(data) and sum(a != b for a, b in zip(data, changed)) == 1
    processor = sentencepiece.SentencePieceProcessor(model_proto=changed)
    assert processor.is_control(processor.piece_to_id("<mask>"))
    assert not processor.is_control(processor.piece_to_id("keep"))
    plain = trained()
    assert without_matches(plain, re.compile(b"<mask>")) is plain
