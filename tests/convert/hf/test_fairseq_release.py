"""fairseq's released XLM-R computes here what fairseq computes, and is read without importing fairseq."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import sentencepiece
import torch

from fairseq_xalign.convert.hf.read import open_folder
from fairseq_xalign.errors import UserError
from tests.support.foreign_models import TOLERANCE, Opened, batches, randomized
from tests.support.small_tokenizers import LINES, train_foreign_sentencepiece

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder as fairseq released XLM-R, and fairseq's model in it."""
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel

    folder = tmp_path_factory.mktemp("xlmr")
    model_file = folder / "sentencepiece.bpe.model"
    model_file.write_bytes(train_foreign_sentencepiece(folder).read_bytes())
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    pieces = [processor.id_to_piece(i) for i in range(3, len(processor))]
    shuffled = [*pieces[100:], *pieces[:100]]  # dict.txt has an order of its own
    (folder / "dict.txt").write_text("".join(f"{piece} {999 - i}\n" for i, piece in enumerate(shuffled)), "utf-8")
    dictionary = Dictionary.load(str(folder / "dict.txt"))
    dictionary.add_symbol("<mask>")
    args = argparse.Namespace(
        encoder_layers=2, encoder_embed_dim=32, encoder_ffn_embed_dim=48, encoder_attention_heads=4, max_positions=64,
        tokens_per_sample=64, activation_fn="gelu", pooler_activation_fn="tanh", pooler_dropout=0.0, dropout=0.1,
        attention_dropout=0.1, activation_dropout=0.0, encoder_layers_to_keep=None, encoder_layerdrop=0.0,
        untie_weights_roberta=False, spectral_norm_classification_head=False, arch="roberta",
    )  # fmt: skip
    model = randomized(RobertaModel.build_model(args, types.SimpleNamespace(source_dictionary=dictionary)))
    torch.save({"args": args, "model": model.state_dict(), "optimizer_history": []}, folder / "model.pt")
    return folder, model, dictionary, processor


@torch.no_grad()
def test_hidden_states_and_logits_are_those_of_fairseq(release):
    folder, model, _, _ = release
    ours = Opened(folder)
    packed, padded = batches(ours, ours.sequences(), False)
    real = padded["attention_mask"].bool()
    logits, extra = model(padded["input_ids"], features_only=False, return_all_hiddens=True)
    for layer, expected in enumerate(extra["inner_states"]):
        torch.testing.assert_close(
            ours.encoder(packed, layer), expected.transpose(0, 1)[real], atol=TOLERANCE, rtol=TOLERANCE
        )
    found = ours.encoder.lm_logits(ours.encoder(packed))
    torch.testing.assert_close(found, logits[real][:, torch.tensor(ours.rows)], atol=TOLERANCE, rtol=TOLERANCE)


def test_ids_are_those_of_fairseq(release):
    folder, _, dictionary, processor = release
    ours = Opened(folder)
    for line in LINES[:50]:
        expected = dictionary.encode_line(
            " ".join(processor.encode_as_pieces(line)), append_eos=False, add_if_not_exist=False
        )
        assert [ours.rows[i] for i in ours.tokenizer.encode(line)] == expected.tolist()


def test_names_of_earlier_versions_are_read(release, tmp_path):
    folder, _, _, _ = release
    expected = open_folder(folder)["model"]
    state = torch.load(folder / "model.pt", weights_only=False)
    old = {}
    for name, value in state["model"].items():
        found = re.fullmatch(r"encoder\.(.*)\.self_attn\.q_proj\.(weight|bias)", name)
        if found:  # before 0.9, query, key and value were one
            other = [state["model"][name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            old[f"decoder.{found[1]}.self_attn.in_proj_{found[2]}"] = torch.cat(other)
        elif not re.search(r"[kv]_proj", name):
            name = name.replace("layernorm_embedding", "emb_layer_norm")
            old[re.sub("^encoder", "decoder", name)] = value
    other = tmp_path / "old"
    other.mkdir()
    for name in ("dict.txt", "sentencepiece.bpe.model"):
        (other / name).write_bytes((folder / name).read_bytes())
    torch.save({**state, "model": old}, other / "model.pt", _use_new_zipfile_serialization=False)
    found = open_folder(other)["model"]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_fairseq_is_not_imported(release):
    folder, _, _, _ = release
    code = (
        "import sys; from fairseq_xalign.convert.hf.read import open_folder; "
        f"open_folder({str(folder)!r}); print(*{{*sys.modules}} & {{'fairseq', 'omegaconf', 'transformers'}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_incomplete_and_foreign_releases_are_refused(release, tmp_path):
    folder, _, _, _ = release
    torch.save({"args": None, "model": {"encoder.layers.0.weight": torch.ones(1)}}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="not a RoBERTa of fairseq"):
        open_folder(tmp_path)
    (tmp_path / "model.pt").write_bytes((folder / "model.pt").read_bytes())
    with pytest.raises(UserError, match=r"sentencepiece\.bpe\.model: missing beside model\.pt"):
        open_folder(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes((folder / "sentencepiece.bpe.model").read_bytes())
    lines = (folder / "dict.txt").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "dict.txt").write_text("".join(lines[1:]), "utf-8")
    with pytest.raises(UserError, match=r"dict\.txt: does not list the piece"):
        open_folder(tmp_path)
