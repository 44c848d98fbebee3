"""Models in CTranslate2 give every token the same probability, and find the same translations with the same beam."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fairseq_xalign.constants import EOS, SPECIAL_SYMBOLS
from fairseq_xalign.convert.ctranslate2 import QUANTIZATIONS, check_expressible, positions_in, write_model
from fairseq_xalign.convert.ctranslate2_check import TOLERANCE, Agreement, Reference, check_equal
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.generate import beam_search
from fairseq_xalign.models.presets import translation_preset
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import pack
from tests.support.translation import V, never_pad, small_configs, small_model, translation_batch

SYMBOLS = [*SPECIAL_SYMBOLS, *(f"w{i}" for i in range(len(SPECIAL_SYMBOLS), V))]
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
VASWANI = {"embedding_layernorm": False, "embedding_scale": 0.0, "activation": "relu"}
SHAPES = {
    "mmte_tiny": {"end": 1.5, **VASWANI, "positions": "rotary", "normalize_before": True},
    "mmte_base": {"end": 1.0, **VASWANI, "positions": "sinusoidal", "normalize_before": True},
    "post-norm, learned, three matrices": {"end": 2.5, **VASWANI, "positions": "learned", "tying": "none"},
    "learned, pre-norm, two matrices": {
        "end": 2.0,
        "positions": "learned",
        "normalize_before": True,
        "tying": "decoder",
    },
    "sinusoidal, post-norm, GELU, norm of embeddings": {"end": 3.0, "positions": "sinusoidal", "layernorm_eps": 1e-3},
    "rotary, post-norm": {"end": 2.0, **VASWANI, "positions": "rotary", "embedding_scale": 0.7},
}
SOURCES = [
    source.tolist() for source in translation_batch().source.tokens.split(translation_batch().source.lengths.tolist())
]


def model_of(shape: dict, seed: int = 0) -> TranslationModel:
    values = dict(shape)
    end = values.pop("end")
    return never_pad(small_model(seed=seed, **values).float().eval(), end)


@pytest.fixture
def ctranslate2():
    return pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")


def open_model(ctranslate2, folder):
    return ctranslate2.Translator(str(folder), compute_type="float32", intra_threads=1)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_translations_and_scores_are_equal(ctranslate2, tmp_path, shape):
    lengths = set()
    for seed in range(3):
        model = model_of(shape, seed)
        write_model(model, SYMBOLS, tmp_path)
        translator = open_model(ctranslate2, tmp_path)
        for beam, penalty in ((1, 1.0), (4, 1.0), (4, 0.6)):
            ours = beam_search(model, pack(SOURCES), None, [18] * len(SOURCES), beam, penalty, shortest=0)
            theirs = translator.translate_batch(
                [[SYMBOLS[i] for i in source[:-1]] for source in SOURCES],
                beam_size=beam, num_hypotheses=beam, length_penalty=penalty, min_decoding_length=0,
                max_decoding_length=19, return_scores=True, return_end_token=True,
            )  # fmt: skip
            for expected, found in zip(ours, theirs):
                tokens = [[NUMBERS[symbol] for symbol in hypothesis] for hypothesis in found.hypotheses]
                if any(hypothesis[-1] != EOS for hypothesis in tokens):
                    continue  # stopped at the limit, where CTranslate2 writes no </s>
                assert tokens[0] == expected[0].tokens
                # Of hypotheses that end in the last step CTranslate2 takes all, and fairseq only as many as it needs.
                scores = dict(zip(map(tuple, tokens), found.scores))
                both = [h for h in expected if tuple(h.tokens) in scores]
                assert len(both) >= beam / 2
                assert [h.score for h in both] == pytest.approx([scores[tuple(h.tokens)] for h in both], abs=TOLERANCE)
                lengths.add(len(tokens[0]))
    assert len(lengths) > 2  # the searches end at different lengths


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_token_has_the_same_probability_in_both(ctranslate2, tmp_path, shape):
    model = model_of(shape)
    write_model(model, SYMBOLS, tmp_path)
    agreement = Reference(model, SYMBOLS, SOURCES).compare(tmp_path)
    assert agreement.sentences == len(SOURCES) == agreement.equal + agreement.unfinished
    assert agreement.largest_difference < 1e-5
    check_equal(agreement)


def test_encoder_and_decoder_may_have_different_shapes(ctranslate2, tmp_path):
    torch.manual_seed(1)
    encoder, decoder = small_configs("decoder", normalize_before=True, positions="sinusoidal")
    encoder = replace(encoder, layers=3, width=24, heads=2, positions="rotary", embedding_layernorm=False)
    decoder = replace(decoder, layers=1, normalize_before=False, activation="relu")
    model = never_pad(TranslationModel(encoder, decoder).eval(), 2.0)
    write_model(model, SYMBOLS, tmp_path)
    check_equal(Reference(model, SYMBOLS, SOURCES).compare(tmp_path))


def test_a_model_that_computes_something_else_is_refused(ctranslate2, tmp_path):
    model = model_of(SHAPES["mmte_base"])
    reference = Reference(model, SYMBOLS, SOURCES)
    with torch.no_grad():
        model.decoder.layers[0].memory_kv.bias[-1] += 0.1
    write_model(model, SYMBOLS, tmp_path)
    with pytest.raises(UserError, match="does not compute the same: .* translations are equal"):
        check_equal(reference.compare(tmp_path))


def test_an_agreement_without_a_number_is_none():
    with pytest.raises(UserError, match="does not compute the same"):
        check_equal(Agreement(1, 1, 0, float("nan")))


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_quantization_leaves_the_model_as_it_was(ctranslate2, tmp_path, quantization):
    model = model_of(SHAPES["mmte_tiny"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    write_model(model, SYMBOLS, tmp_path)
    exact = (tmp_path / "model.bin").stat().st_size
    write_model(model, SYMBOLS, tmp_path, quantization)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (tmp_path / "model.bin").stat().st_size < exact
    agreement = Reference(model, SYMBOLS, SOURCES).compare(tmp_path, "default")
    assert 0 < agreement.largest_difference < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": {"layernorm_eps": 1e-12}}, "layer norms of encoder and decoder add different numbers"),
        ({"decoder": {"layers": 0}}, "the decoder has no layers"),
        ({"encoder": {"n_segments": 2}}, "segment embeddings"),
        ({"target_token": "separate"}, "--target-token separate cannot leave"),
    ],
)
def test_what_ctranslate2_cannot_express_is_refused_with_the_reason(tmp_path, change, message):
    encoder, decoder = small_configs()
    model = TranslationModel(
        replace(encoder, **change.get("encoder", {})), replace(decoder, **change.get("decoder", {}))
    )
    model.target_token = change.get("target_token", "source")
    with pytest.raises(UserError, match=message) as error:
        check_expressible(model)
    assert "models.generate.translate" in error.value.remedy or "--target-token source" in error.value.remedy
    with pytest.raises(UserError, match=message):
        write_model(model, SYMBOLS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_table_of_positions_is_as_long_as_what_ctranslate2_reads_by_default():
    assert positions_in(small_configs(positions="learned")[0]) == 20
    assert positions_in(small_configs(positions="rotary")[0]) is None
    assert positions_in(translation_preset("mmte_base", 100)[0]) == 1024
    assert positions_in(small_configs(positions="sinusoidal")[0]) == 1024
    assert positions_in(small_configs(positions="sinusoidal", max_positions=2000)[0]) == 2000
