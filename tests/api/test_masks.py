"""Texts with hidden pieces as ids, and as texts again."""

from __future__ import annotations

import pytest

from fairseq_xalign.api.masks import MaskedTexts, holes
from fairseq_xalign.constants import BOS, EOS, MASK
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.framing import FRAMES
from tests.support.small_tokenizers import small

TOKENIZER = small("trained")
THE, ON = TOKENIZER.encode("the"), TOKENIZER.encode("on the hill")


def texts(frame: str = "s", limit: int = 64) -> MaskedTexts:
    return MaskedTexts(TOKENIZER, FRAMES[frame], limit)


@pytest.mark.parametrize(
    ("text", "between"),
    [
        ("the <mask> on the hill", [*THE, MASK, *ON]),
        ("<mask> on the hill", [MASK, *ON]),
        ("the <mask>", [*THE, MASK]),
        ("<mask><mask>", [MASK, MASK]),
        ("<mask>", [MASK]),
    ],
)
def test_a_mask_is_one_id_between_those_of_the_text(text, between):
    assert texts().row(text, "<mask>", "texts[0]") == [BOS, *between, EOS]
    assert texts("eos").row(text, "<mask>", "texts[0]") == [*between, EOS]
    assert texts().row(text.replace("<mask>", "___"), "___", "texts[0]") == [BOS, *between, EOS]


def test_another_mask_leaves_the_usual_one_text():
    row = texts().row("the <mask> ___", "___", "texts[0]")
    assert holes(row) == [len(row) - 2] and row[1:-2] == TOKENIZER.encode("the <mask> ")


@pytest.mark.parametrize("frame", ["s", "eos"])
def test_a_text_may_be_as_long_as_the_limit_and_no_longer(frame):
    pieces = len(THE) + 1
    extra = FRAMES[frame].extra
    assert len(texts(frame, pieces + extra).row("the <mask>", "<mask>", "texts[3]")) == pieces + extra
    with pytest.raises(UserError, match=rf"texts\[3\] has {pieces} pieces, more than {pieces - 1}. Shorten it"):
        texts(frame, pieces + extra - 1).row("the <mask>", "<mask>", "texts[3]")


@pytest.mark.parametrize(
    ("mask", "said"), [("<mask>", "text has no <mask>. Write <mask> for a"), ("", "text has no mask. Write <mask>")]
)
def test_a_text_without_a_mask_is_refused(mask, said):
    with pytest.raises(UserError, match=said):
        texts().row("the house", mask, "text")


@pytest.mark.parametrize("frame", ["s", "eos"])
def test_a_filled_text_reads_as_if_it_had_never_been_hidden(frame):
    reader = texts(frame)
    row = reader.row("the <mask> on the hill <mask>", "<mask>", "texts[0]")
    first, second = holes(row)
    (on,) = TOKENIZER.encode("on")
    (found,) = reader.filled(row, [on], [0.25], first)
    assert (found.piece, found.probability) == ("▁on", 0.25)
    assert found.text == "the on on the hill <mask>", "the other piece stays hidden"
    (found,) = reader.filled(row, [on], [0.5], second)
    assert found.text == "the <mask> on the hill on"
