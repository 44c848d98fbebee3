"""`load_translator`: the translations of the commands' own search, one text or many, and clear errors."""

import pytest

import fairseq_xalign
from fairseq_xalign.api.texts import TruncatedTextWarning
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_translator
from fairseq_xalign.models.generate import translate
from tests.support.checkpoints import encoder_state, save, translation_state

TEXTS = ["the house on the hill", "", "no", "a walk in the garden"]
LIMITS = {"beam": 2, "max_len_b": 6}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save(translation_state(), tmp_path_factory.mktemp("run") / "checkpoint_best.pt").parent


@pytest.fixture(scope="module")
def model(checkpoint):
    return fairseq_xalign.load_translator(checkpoint, device="cpu")


def test_translations_are_those_of_the_search_in_the_order_of_the_texts(model, checkpoint):
    expected = translate(*read_translator(checkpoint)[:2], TEXTS, "en", "xx", **LIMITS)
    counts = []
    assert model.translate(TEXTS, "xx", "en", **LIMITS, batch_size=1, progress=counts.append) == expected
    assert sum(counts) == 4
    assert expected[1] == "" and all(expected[:1] + expected[2:])
    assert model.translate(TEXTS[0], target="xx", **LIMITS) == expected[0]
    assert model.translate([], "xx") == []
    assert model.directions == ["en-xx", "xx-en"]


def test_what_is_too_long_is_cut_off_with_a_count(tmp_path):
    state = translation_state()
    for part in ("encoder", "decoder"):
        state["task_state"][part] |= {"positions": "learned", "max_positions": 8}
        positions = state["model"]["encoder.embed_tokens.weight"][:8].clone()
        state["model"][f"{part}.embed_positions.weight"] = positions
    model = fairseq_xalign.load_translator(save(state, tmp_path / "short.pt"))
    with pytest.warns(TruncatedTextWarning, match="1 of 2 sentences cut off at 6 tokens"):
        model.translate(["house " * 20, "no"], "xx", beam=1, max_len_b=3)


BAD = {
    "an unknown target": (lambda m: m.translate("a", "de"), "the vocabulary has no <2de>"),
    "no target of two": (lambda m: m.translate("a"), "target is missing. Choose one of xx, en"),
    "an unknown source": (lambda m: m.translate("a", "xx", "de"), "source: unknown language 'de'"),
    "no text": (lambda m: m.translate([None], "xx"), r"texts\[0\] is of type NoneType"),
    "no beam": (lambda m: m.translate("a", "xx", beam=0), "beam 0 is too small"),
    "a broken beam": (lambda m: m.translate("a", "xx", beam=1.5), "beam is 1.5, not a whole number"),
    "a beam in words": (lambda m: m.translate("a", "xx", beam="4"), "beam is '4', not a whole number"),
    "a broken limit": (lambda m: m.translate("a", "xx", max_len_b=1.5), "max_len_b is 1.5, not a whole number"),
    "no limit": (lambda m: m.translate("a", "xx", max_len_b=None), "max_len_b is None, not a whole number"),
    "a limit in words": (lambda m: m.translate("a", "xx", max_len_a="x"), "max_len_a is 'x', not a number"),
    "a missing penalty": (lambda m: m.translate("a", "xx", lenpen=None), "lenpen is None, not a number"),
    "a penalty that is not a number": (lambda m: m.translate("a", "xx", lenpen=float("nan")), "nan is too small"),
    "an endless penalty": (lambda m: m.translate("a", "xx", lenpen=float("inf")), "lenpen inf is not finite"),
    "a numbered target": (lambda m: m.translate("a", 3), "target is 3, not a string"),
    "several targets": (lambda m: m.translate(["a", "b"], ["xx", "en"]), r"target is \['xx', 'en'\], not a string"),
    "a numbered source": (lambda m: m.translate("a", "xx", 3), "source is 3, not a string"),
    "no penalty": (lambda m: m.translate("a", "xx", lenpen=-1), "lenpen -1 is too small"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_named(model, case):
    call, message = BAD[case]
    with pytest.raises(UserError, match=message):
        call(model)


def test_an_encoder_is_no_translator(tmp_path):
    with pytest.raises(UserError, match=r"encoder\.pt: this checkpoint does not translate"):
        fairseq_xalign.load_translator(save(encoder_state(), tmp_path / "encoder.pt"))
