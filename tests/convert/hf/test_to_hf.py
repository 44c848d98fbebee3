"""What leaves for transformers computes there what it computes here, and what cannot is refused by name."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from fairseq_xalign.convert.__main__ import main as convert
from fairseq_xalign.convert.commands.to_hf import to_hf
from fairseq_xalign.convert.hf import parity
from fairseq_xalign.convert.hf.read import open_folder
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.labeller import load_labeller
from fairseq_xalign.models.checkpoint import read_checkpoint, read_encoder
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.leaving import CLASSIFIER, MMTE, TAGGER, checkpoint
from tests.support.small_tokenizers import LINES, small, small_doubled

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

PRE_NORM = {"normalize_before": True}
SHAPES = {
    "xlm-roberta": {},
    "no bias": {"lm_head_bias": False},
    "bert": {"n_segments": 2, "layernorm_eps": 1e-12},
    "bert relu": {"activation": "relu"},
    "roberta-prelayernorm": PRE_NORM,
    "roformer": {"positions": "rotary"},
    "roformer segments": {"positions": "rotary", "n_segments": 2, "activation": "relu"},
    "sinusoidal": {"positions": "sinusoidal"},
    "scale": {"embedding_scale": 0.0},
    "megatron-bert": {"normalize_before": True, "embedding_layernorm": False},
    "scaled megatron-bert": {**MMTE, "lm_head_transform": True},
}
WITH_HEAD = {
    "XLMRobertaForMaskedLM": ("xlm-roberta", "no bias", "sinusoidal", "scale"),
    "BertForMaskedLM": ("bert", "bert relu"),
    "RobertaPreLayerNormForMaskedLM": ("roberta-prelayernorm",),
    "RoFormerForMaskedLM": ("roformer", "roformer segments"),
    "MegatronBertForMaskedLM": ("megatron-bert", "scaled megatron-bert"),
}


@pytest.mark.parametrize(("architecture", "name"), [(a, n) for a, names in WITH_HEAD.items() for n in names])
def test_every_shape_that_has_a_class_computes_the_same_there(architecture, name, tmp_path):
    found = to_hf(checkpoint(tmp_path / "c.pt", **SHAPES[name]), tmp_path / "out")
    assert found["architecture"] == architecture
    compared = found["compared"]
    assert compared["layers"] == 3 and compared["sentences"] >= 16 and compared["texts"] == 256
    assert compared["difference"] <= 1e-5 * max(1, compared["largest"])
    assert compared["scores"][0] <= 1e-5 * max(1, compared["scores"][1])


def test_long_texts_and_two_segments_agree_too(tmp_path):
    """The comparison of the command is of short texts; this one is of whole lengths, beside the command's code."""
    for name in ("bert", "roformer segments", "xlm-roberta", "roberta-prelayernorm"):
        path = checkpoint(tmp_path / f"{name}.pt", **SHAPES[name])
        to_hf(path, tmp_path / name)
        encoder, tokenizer, _ = read_encoder(path)
        theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / name)
        auto = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        one, two = " ".join(LINES[:9]), "the garden"
        inputs = auto(one, two, return_tensors="pt", truncation="only_first", max_length=64)
        ids = inputs["input_ids"][0].tolist()
        assert len(ids) == 64 and ids[-1] == 2 and ids[1:20] == tokenizer.encode(one)[:19]
        batch = pack([ids])
        if encoder.config.n_segments:
            batch.segments = inputs["token_type_ids"][0]
            assert batch.segments.sum() == len(tokenizer.encode(two)) + 1
        with torch.no_grad():
            expected = encoder.lm_logits(encoder(batch))
            torch.testing.assert_close(theirs(**inputs).logits[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["xlm-roberta", "bert", "roberta-prelayernorm", "megatron-bert", "roformer"])
def test_ours_there_and_back_is_bit_equal(name, tmp_path):
    tokenizer = small("trained")
    path = checkpoint(tmp_path / "c.pt", tokenizer, **SHAPES[name])
    to_hf(path, tmp_path / "out")
    before, back = read_checkpoint(path), open_folder(tmp_path / "out")
    again = Tokenizer.from_state(back["task_state"]["tokenizer"])
    for line in LINES:
        assert again.encode(line) == tokenizer.encode(line)
    for key, value in before["model"].items():
        assert torch.equal(back["model"][key], value), key
    fields = {k: v for k, v in before["task_state"]["encoder"].items() if k not in ("n_segments", "embedding_std")}
    assert {k: back["task_state"]["encoder"][k] for k in fields} == pytest.approx(fields)


def test_an_encoder_of_translation_leaves_without_lm_head_and_reads_texts_without_s(tmp_path):
    found = to_hf(checkpoint(tmp_path / "c.pt", frame="eos", **MMTE), tmp_path / "out")
    assert found["architecture"] == "MegatronBertModel" and found["compared"]["scores"] is None
    assert any("dense layer" in note for note in found["notes"])
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert auto(LINES[0])["input_ids"] == [*small("trained").encode(LINES[0]), 2]


def test_one_languages_embedding_is_added(tmp_path):
    path = checkpoint(tmp_path / "c.pt", n_languages=2)
    with pytest.raises(UserError, match=r"--language en\|zh-TW"):
        to_hf(path, tmp_path / "out")
    with pytest.raises(UserError, match="--language.*'de'"):
        to_hf(path, tmp_path / "out", language="de")
    for name in ("zh-TW", "none"):
        to_hf(path, tmp_path / name, language=name)
    rotary = checkpoint(tmp_path / "r.pt", n_languages=2, positions="rotary")
    assert to_hf(rotary, tmp_path / "r", language="en")["architecture"] == "RoFormerForMaskedLM"
    with pytest.raises(UserError, match="has no language embeddings"):
        to_hf(checkpoint(tmp_path / "d.pt"), tmp_path / "out", language="en")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({**PRE_NORM, "positions": "rotary"}, "rotary positions with layer norms before"),
        ({"embedding_layernorm": False}, "none of the embeddings"),
    ],
)
def test_shapes_without_a_class_are_refused_by_name(shape, reason, tmp_path, capsys):
    path = checkpoint(tmp_path / "c.pt", **shape)
    assert convert(["to-hf", str(path), str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert reason in said and "train it with" in said and not (tmp_path / "out").exists()


def test_a_relu_head_that_roberta_does_not_have_is_left_out_and_said(tmp_path):
    found = to_hf(checkpoint(tmp_path / "c.pt", **PRE_NORM, activation="relu"), tmp_path / "out")
    assert found["architecture"] == "RobertaPreLayerNormModel"
    assert any("GELU" in note for note in found["notes"])


@pytest.mark.parametrize("name", ["xlm-roberta", "bert", "roberta-prelayernorm", "roformer", "megatron-bert"])
def test_taggers_and_classifiers_leave_with_their_labels(name, tmp_path):
    tagger = checkpoint(tmp_path / "t.pt", head=TAGGER, **SHAPES[name])
    found = to_hf(tagger, tmp_path / "tagger")
    assert found["architecture"].endswith("ForTokenClassification") and found["compared"]["scores"][0] < 1e-4
    pipe = transformers.pipeline("token-classification", str(tmp_path / "tagger"), aggregation_strategy="first")
    assert {word["entity_group"] for word in pipe("the house and the garden")} <= {*TAGGER["labels"]}
    classifier = checkpoint(tmp_path / "c.pt", head=CLASSIFIER, **SHAPES[name])
    found = to_hf(classifier, tmp_path / "classifier")
    assert found["architecture"].endswith("ForSequenceClassification")
    pipe = transformers.pipeline("text-classification", str(tmp_path / "classifier"))
    labeller = load_labeller(classifier)
    rows = [labeller.kind.text_row(line) for line in LINES[:20] if len(small("trained").encode(line)) < 60]
    own = labeller.predict(labeller.encode(rows, "en"), len(rows), 1000)
    assert [answer["label"] for answer in pipe([row["text"] for row in rows])] == own


@pytest.mark.parametrize("hidden", [32, 20])
def test_a_head_with_a_tanh_layer_is_that_of_bert(hidden, tmp_path):
    for name in ("xlm-roberta", "bert", "roberta-prelayernorm", "megatron-bert"):
        head = {**CLASSIFIER, "head_hidden": hidden}
        found = to_hf(checkpoint(tmp_path / f"{name}.pt", head=head, **SHAPES[name]), tmp_path / name)
        assert found["compared"]["scores"][0] < 1e-5


@pytest.mark.parametrize(
    ("head", "shape", "reason"),
    [
        ({**TAGGER, "head": "mmte"}, {}, "head of this model is mmte"),
        ({**CLASSIFIER, "head": "mmte", "pooling": "max"}, {}, "head of this model is mmte"),
        ({**CLASSIFIER, "pooling": "mean"}, {}, "pools by mean"),
        ({**CLASSIFIER, "head_hidden": 40}, {}, "tanh layer of width 40"),
        ({**CLASSIFIER, "head_hidden": 32}, {"positions": "rotary"}, "tanh layer of width 32"),
        ({**CLASSIFIER, "labels": [f"l{i}" for i in range(17)]}, {"positions": "rotary"}, "17 labels"),
    ],
)
def test_heads_without_an_equal_are_refused_and_their_encoder_leaves_alone(head, shape, reason, tmp_path):
    path = checkpoint(tmp_path / "c.pt", head=head, **shape)
    with pytest.raises(UserError, match=reason) as error:
        to_hf(path, tmp_path / "out")
    assert "--without-head" in str(error.value) and not (tmp_path / "out").exists()
    assert to_hf(path, tmp_path / "out", with_head=False)["architecture"].endswith("Model")


def test_the_card_tells_settings_data_scores_and_the_comparison(tmp_path):
    found = to_hf(checkpoint(tmp_path / "c.pt", small_doubled("trained"), head=CLASSIFIER), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert found["parity"] in card and all(note in card for note in found["notes"])
    for part in ('language: ["en"]', 'language_bcp47: ["zh-TW"]', 'pipeline_tag: "text-classification"', "`so|so`"):
        assert part in card
    for row in (
        "best score | 1.25",
        "f1_mean | 65.0",
        "updates | 77",
        "data | DATA",
        "--mask-prob | 0.15",
        "layers | 2",
    ):
        assert f"| {row} |" in card, row
    assert "derived languages" in card and "fine-tuning did not train it" in card


def test_a_difference_leaves_nothing_behind(tmp_path, monkeypatch):
    """The weights on their way out are damaged: the command must find it by itself."""
    path = checkpoint(tmp_path / "c.pt")
    from fairseq_xalign.convert.commands import to_hf as command

    whole = command.write

    def damaged(leaver, folder):
        name = next(n for n in leaver.theirs if n.endswith("layer.1.output.dense.bias"))
        leaver.theirs[name] = leaver.theirs[name].clone()
        leaver.theirs[name][3] += 1e-3
        whole(leaver, folder)

    monkeypatch.setattr(command, "write", damaged)
    with pytest.raises(UserError, match="hidden states of layer 2 differ by"):
        to_hf(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


def test_another_tokenizer_leaves_nothing_behind(tmp_path, monkeypatch):
    path = checkpoint(tmp_path / "c.pt")
    monkeypatch.setattr(parity, "_made_up", lambda leaver: ["<mask> spelled"] * 248)
    with pytest.raises(UserError, match="gives '<mask> spelled' other ids"):
        to_hf(path, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


@pytest.mark.parametrize(("score", "ties"), [(-3.0, 1), (-2.9, None)])
def test_only_a_segmentation_that_is_as_probable_may_differ(score, ties):
    pieces = [("<unk>", 0.0), ("a", -1.0), ("b", -2.0), ("ab", score)]
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0))
    )
    ids = next(ids for ids in ([1, 2], [3]) if ids != theirs("ab")["input_ids"])
    leaver = SimpleNamespace(
        tokenizer=SimpleNamespace(encode=lambda text: ids), frame=SimpleNamespace(around=lambda ids: ids), rows=None
    )
    if ties is None:
        with pytest.raises(UserError, match="other ids"):
            parity._compare_ids(leaver, theirs, ["ab"])
    else:
        assert parity._compare_ids(leaver, theirs, ["ab"]) == ties


def test_an_existing_folder_is_replaced_only_when_asked_and_only_one_of_transformers(tmp_path, capsys):
    path, out = checkpoint(tmp_path / "c.pt"), tmp_path / "out"
    assert convert(["to-hf", str(path), str(out)]) == 0
    assert convert(["to-hf", str(path), str(out)]) == 1
    assert "exists already" in capsys.readouterr().err
    (out / "old").write_text("")
    assert convert(["to-hf", str(path), str(out), "--overwrite"]) == 0
    assert not (out / "old").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("")
    assert convert(["to-hf", str(path), str(other), "--overwrite"]) == 1
    assert "is not a folder of transformers" in capsys.readouterr().err and (other / "thesis.txt").exists()


@pytest.mark.parametrize("kind", ["bbpe", "wordpiece", "xlmr", "roberta", "sentencepiece", "spelled"])
def test_checkpoints_with_any_vocabulary_leave(kind, tmp_path):
    found = to_hf(checkpoint(tmp_path / "c.pt", small(kind)), tmp_path / "out")
    assert found["compared"]["other_ids"] <= 3
    mask = transformers.AutoTokenizer.from_pretrained(tmp_path / "out").mask_token
    pipe = transformers.pipeline("fill-mask", str(tmp_path / "out"))
    assert len(pipe(f"{LINES[0]} {mask}", top_k=3)) == 3


def test_nothing_in_the_folder_needs_code_of_ours(tmp_path):
    to_hf(checkpoint(tmp_path / "c.pt"), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert "auto_map" not in config and config["architectures"] == ["XLMRobertaForMaskedLM"]
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert all(name.startswith(("roberta.", "lm_head.")) for name in tensors)
