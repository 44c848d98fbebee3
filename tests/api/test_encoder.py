"""`load_encoder`: vectors equal the model's own, whatever the batches; word links and hidden pieces; clear errors."""

import warnings

import numpy as np
import pytest
import torch

import fairseq_xalign
from fairseq_xalign.api.texts import TruncatedTextWarning
from fairseq_xalign.constants import BOS, EOS, MASK
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_encoder
from fairseq_xalign.objectives.batch import pack
from tests.support.checkpoints import save, translation_state, two_layers_state

TEXTS = [
    "the house on the hill",
    "",
    "a long walk in the old garden behind the house",
    "no",
    "he said that <s> and <mask> are words </s>",
    "the house on the hill",
]
SAME = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save(two_layers_state(), tmp_path_factory.mktemp("run") / "checkpoint_best.pt").parent


@pytest.fixture(scope="module")
def model(checkpoint):
    return fairseq_xalign.load_encoder(checkpoint, device="cpu")


@pytest.fixture(scope="module")
def parts(checkpoint):
    encoder, tokenizer, _ = read_encoder(checkpoint)
    return encoder, tokenizer


@torch.no_grad()
def by_hand(parts, text, layer=None):
    """The features of `<s> x </s>` alone, [n, D]."""
    encoder, tokenizer = parts
    return encoder(pack([[BOS, *tokenizer.encode(text), EOS]]), layer)


POOLED = {
    "cls": lambda x: x[0],
    "mean": lambda x: x[1:-1].mean(0) if len(x) > 2 else x.mean(0),
    "max": lambda x: x[1:-1].amax(0) if len(x) > 2 else x.amax(0),
    "mean_all": lambda x: x.mean(0),
    "max_all": lambda x: x.amax(0),
}


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("layer", [None, 0, 1])
def test_a_vector_is_what_the_model_computes_of_the_text_alone(model, parts, pooling, layer):
    found = model.encode(TEXTS, pooling=pooling, layer=layer)
    assert found.dtype == np.float32 and found.shape == (6, 32) == (len(TEXTS), model.width)
    expected = torch.stack([POOLED[pooling](by_hand(parts, text, layer)) for text in TEXTS])
    np.testing.assert_allclose(found, expected.numpy(), **SAME)


@pytest.mark.parametrize("limits", [{"batch_size": 1}, {"batch_size": 4}, {"batch_tokens": 12}, {"progress": True}])
def test_batches_do_not_change_vectors_and_nothing_is_out_of_order(model, limits):
    np.testing.assert_allclose(model.encode(TEXTS[::-1], **limits)[::-1], model.encode(TEXTS), **SAME)


def test_several_threads_compute_the_same_and_leave_torch_as_it_was(model):
    before = torch.get_num_threads()
    expected = model.encode(TEXTS * 5)
    torch.set_num_threads(3)
    try:
        found = model.encode(TEXTS * 5, batch_size=2)
        assert torch.get_num_threads() == 3 and torch.ones(3).sum() == 3
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found, expected, **SAME)


def test_one_text_has_one_vector_and_any_iterable_is_a_list(model):
    alone = model.encode(TEXTS[0])
    assert alone.shape == (32,)
    np.testing.assert_allclose(model.encode(text for text in TEXTS)[0], alone, **SAME)
    np.testing.assert_allclose(model.encode(np.array(TEXTS))[0], alone, **SAME)
    assert model.encode([]).shape == (0, 32)


def test_normalized_vectors_have_length_one(model):
    found = model.encode(TEXTS, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, **SAME)
    assert np.dot(found[0], found[5]) == pytest.approx(1, abs=1e-5)


def test_the_users_function_is_told_of_every_text(model):
    counts = []
    model.encode(TEXTS, batch_size=2, progress=counts.append)
    assert sum(counts) == 6 and len(counts) == 3


def test_pieces_have_the_models_vectors_and_symbols_in_text_are_text(model, parts):
    found = model.token_features(TEXTS, batch_size=2)
    assert [len(one.pieces) for one in found] == [len(parts[1].encode(text)) for text in TEXTS]
    for text, one in zip(TEXTS, found):
        np.testing.assert_allclose(one.vectors, by_hand(parts, text)[1:-1].numpy(), **SAME)
        assert one.ids.dtype == np.int64 and not {BOS, EOS, MASK} & set(one.ids.tolist())
    whole = model.token_features(TEXTS[4], special_tokens=True)
    assert whole.pieces[0] == "<s>" and whole.pieces[-1] == "</s>" and len(whole.vectors) == len(found[4].vectors) + 2


def test_what_is_too_long_is_cut_off_with_a_count(model, parts):
    long = " ".join(["house"] * 200)
    with pytest.warns(TruncatedTextWarning, match="2 of 3 sentences cut off at 64 tokens"):
        found = model.encode([long, "no", long])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.encode(TEXTS)
    ids = [BOS, *parts[1].encode(long)[:62], EOS]
    expected = parts[0](pack([ids]))[1:-1].mean(0).detach()
    np.testing.assert_allclose(found[2], expected.numpy(), **SAME)


def test_an_encoder_from_translation_reads_no_s_and_its_language_is_in_the_text_alone(tmp_path):
    model = fairseq_xalign.load_encoder(save(translation_state(), tmp_path / "mnmt.pt"))
    assert model.token_features("the house", special_tokens=True).pieces[-1] == "</s>"
    assert "<s>" not in model.token_features("the house", special_tokens=True).pieces
    with pytest.raises(UserError, match="pooling cls: this encoder comes from translation"):
        model.encode("the house", pooling="cls")


def test_a_language_is_embedded_where_the_model_has_embeddings(tmp_path):
    model = fairseq_xalign.load_encoder(save(two_layers_state(2), tmp_path / "xlm.pt"))
    plain, english = model.encode("the house"), model.encode("the house", language="en")
    assert np.abs(plain - english).max() > 1e-3
    with pytest.raises(UserError, match="language: unknown language 'de'.*Known: en, xx"):
        model.encode("the house", language="de")


# Word alignment


@pytest.mark.parametrize("method", ["softmax", "argmax"])
def test_words_are_linked_by_the_published_formulas(model, parts, method):
    source, target = "the old house on the hill", "a house behind the old hill"
    tokenizer = parts[1]
    words = [[i for i, word in enumerate(text.split()) for _ in tokenizer.encode(word)] for text in (source, target)]
    x, y = (by_hand(parts, text, layer=1)[1:-1] for text in (source, target))
    if method == "softmax":
        products = x @ y.T
        linked = (products.softmax(-1) > 0.001) & (products.softmax(-2) > 0.001)
    else:
        cosines = torch.cosine_similarity(x[:, None], y[None], dim=2)
        linked = torch.tensor(
            [[row.argmax() == j and column.argmax() == i for j, column in enumerate(cosines.T)]
             for i, row in enumerate(cosines)]
        )  # fmt: skip
    expected = sorted({(words[0][i], words[1][j]) for i, j in linked.nonzero().tolist()})
    assert expected and model.align(source, target, method=method) == expected
    assert model.align([source, ""], [target, "x"], method=method) == [expected, []]
    assert model.align([source.split()], [target.split()], method=method) == [expected]


def test_a_sentence_is_aligned_with_itself_word_by_word(model):
    links = model.align("a long walk in the garden", "a long walk in the garden", method="argmax", layer=0)
    assert {(i, i) for i in range(6)} == set(links)


def test_words_that_are_cut_off_are_counted_and_have_no_links(model):
    long = ["house"] * 100
    with pytest.warns(TruncatedTextWarning, match="1 of 1 sentences cut off"):
        links = model.align([long], [["house"]], threshold=0.0)
    assert 0 < len(links[0]) <= 62


# Hidden pieces


def test_hidden_pieces_have_the_probabilities_of_the_mlm_head(model, parts):
    encoder, tokenizer = parts
    found = model.fill_mask(["the <mask> on the hill", "no <mask> <mask>"], top_k=3, batch_size=1)
    assert [len(holes) for holes in found] == [1, 2] and all(len(hole) == 3 for holes in found for hole in holes)
    ids = [BOS, *tokenizer.encode("the"), MASK, *tokenizer.encode("on the hill"), EOS]
    with torch.no_grad():
        features = encoder(pack([ids]))[ids.index(MASK)]
        expected = encoder.lm_logits(features[None])[0].softmax(-1).topk(3)
    assert [one.probability for one in found[0][0]] == pytest.approx(expected.values.tolist(), abs=1e-6)
    assert [one.piece for one in found[0][0]] == [tokenizer.piece(int(i)) for i in expected.indices]
    filled = tokenizer.decode([expected.indices[0] if i == MASK else i for i in ids])
    assert found[0][0][0].text == filled
    assert found[1][0][0].text.count("<mask>") == 1
    assert model.fill_mask("the [MASK] on the hill", top_k=3, mask="[MASK]")[0][0].piece == found[0][0][0].piece


def test_a_head_that_was_never_trained_fills_nothing(tmp_path):
    state = two_layers_state()
    state["task_state"]["foreign"] = {"fresh": ["lm_dense.weight", "lm_bias"]}
    model = fairseq_xalign.load_encoder(save(state, tmp_path / "converted.pt"))
    with pytest.raises(UserError, match=r"converted\.pt: this encoder came without a head"):
        model.fill_mask("a <mask>")


# Bad input

BAD = {
    "nothing": (lambda m: m.encode(None), "texts is of type NoneType, not a string or a list"),
    "a number": (lambda m: m.encode(3), "texts is of type int"),
    "bytes": (lambda m: m.encode(b"x"), "texts is of type bytes"),
    "a mapping": (lambda m: m.encode({"a": 1}), "texts is of type dict"),
    "a table": (lambda m: m.encode(np.array([["a", "b"]])), r"texts is of shape \(1, 2\)"),
    "a missing value": (lambda m: m.encode(["a", None]), r"texts\[1\] is of type NoneType, not a string"),
    "half a character": (lambda m: m.encode(["a", "b\ud800"]), r"texts\[1\] has U\+D800 at character 1"),
    "pooling": (lambda m: m.encode("a", pooling="maen"), "unknown pooling 'maen'. Did you mean 'mean'"),
    "layer": (lambda m: m.encode("a", layer=3), "layer 3: the model has 2 layers. Choose from 0 to 2"),
    "negative layer": (lambda m: m.token_features("a", layer=-1), "layer -1: the model has 2 layers"),
    "device": (lambda m: m.encode("a", device="gpu"), "device gpu is not a device. Choose cpu"),
    "batch size": (lambda m: m.encode("a", batch_size=0), "0 is too small"),
    "no batch size": (lambda m: m.encode("a", batch_size=1.5), "batch_size is 1.5, not a whole number"),
    "method": (lambda m: m.align("a", "b", method="soft"), "unknown method 'soft'"),
    "threshold": (lambda m: m.align("a", "b", threshold=1), "threshold 1 is not a probability"),
    "one and many": (lambda m: m.align("a", ["b"]), "source has one sentence alone, target a list of 1"),
    "unequal": (lambda m: m.align(["a", "b"], ["b"]), "source has a list of 2, target a list of 1"),
    "an empty word": (lambda m: m.align([["a", " "]], [["b"]]), r"source\[0\] has an empty word"),
    "no mask": (lambda m: m.fill_mask(["a <mask>", "b"]), r"texts\[1\] has no <mask>"),
    "a long text with a mask": (lambda m: m.fill_mask("house " * 99 + "<mask>"), "pieces, more than 62"),
    "top_k": (lambda m: m.fill_mask("<mask>", top_k=0), "top_k 0 is too small"),
    "a large top_k": (lambda m: m.fill_mask("<mask>", top_k=10**6), "top_k is 1000000. Choose a number from 1 to"),
    "no pooling": (lambda m: m.encode("a", pooling=None), "pooling is None, not a string"),
    "a layer in words": (lambda m: m.encode("a", layer="1"), "layer is '1', not a whole number. Choose from 0 to 2"),
    "a broken layer": (lambda m: m.token_features("a", layer=1.0), "layer is 1.0, not a whole number"),
    "a true layer": (lambda m: m.encode("a", layer=True), "layer is True, not a whole number"),
    "a numbered language": (lambda m: m.encode("a", language=3), "language is 3, not a string"),
    "a method without name": (lambda m: m.align("a", "b", method=1), "method is 1, not a string"),
    "a threshold in words": (lambda m: m.align("a", "b", threshold="x"), "threshold is 'x', not a number"),
    "a top_k in words": (lambda m: m.fill_mask("<mask>", top_k="3"), "top_k is '3', not a whole number"),
    "a mask without name": (lambda m: m.fill_mask("<mask>", mask=None), "mask is None, not a string"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_named(model, case):
    call, message = BAD[case]
    with pytest.raises(UserError, match=message):
        call(model)


def test_numbers_of_numpy_are_numbers(model):
    expected = model.encode(["a", "b"], layer=1, batch_size=1)
    assert np.array_equal(model.encode(["a", "b"], layer=np.int64(1), batch_size=np.int32(1)), expected)
    assert model.align("a", "b", threshold=np.float32(0.5)) == model.align("a", "b", threshold=0.5)


@pytest.mark.parametrize("path", [None, 5, b"runs", ""])
@pytest.mark.parametrize("open_it", ["load_encoder", "load_translator", "load_tagger", "load_classifier", "load_qa"])
def test_what_is_no_path_is_named(open_it, path):
    with pytest.raises(UserError, match=f"path is {path!r}, not the name of a file or folder"):
        getattr(fairseq_xalign, open_it)(path)


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such checkpoint"):
        fairseq_xalign.load_encoder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="device tpu"):
        fairseq_xalign.load_encoder(tmp_path / "nowhere", device="tpu")
    with pytest.raises(AttributeError, match="no attribute 'load_nothing'"):
        fairseq_xalign.load_nothing  # noqa: B018
