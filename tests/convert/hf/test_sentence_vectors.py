"""Folders of sentence-transformers give the vectors that our own encoding gives."""

import json

import numpy as np
import pytest

import fairseq_xalign
from fairseq_xalign.convert.__main__ import main as convert
from fairseq_xalign.convert.commands.to_hf import to_hf
from fairseq_xalign.errors import UserError
from tests.support.leaving import MMTE, checkpoint
from tests.support.small_tokenizers import LINES

pytest.importorskip("transformers")
SHORT = [" ".join(line.split()[:8]) for line in LINES[:30]]


def test_modules_are_written_with_weights_that_leave_special_symbols_out(tmp_path):
    found = to_hf(checkpoint(tmp_path / "c.pt"), tmp_path / "out", pooling="mean")
    assert found["architecture"] == "XLMRobertaModel"
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [m["type"].rpartition(".")[2] for m in modules] == ["Transformer", "WordWeights", "Pooling"]
    assert all((tmp_path / "out" / m["path"]).is_dir() for m in modules)
    weights = json.loads((tmp_path / "out" / "1_WordWeights" / "config.json").read_text())
    assert weights["word_weights"] == {"0": 0.0, "1": 0.0, "2": 0.0, "4": 0.0}


@pytest.mark.parametrize(
    ("shape", "pooling", "frame"),
    [
        ({}, "mean", "s"),
        ({}, "cls", "s"),
        ({}, "mean_all", "s"),
        ({}, "max_all", "s"),
        ({"positions": "rotary"}, "mean", "s"),
        (MMTE, "mean", "eos"),
    ],
)
def test_vectors_are_those_of_encode(shape, pooling, frame, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    path = checkpoint(tmp_path / "c.pt", frame=frame, **shape)
    found = to_hf(path, tmp_path / "out", pooling=pooling)
    assert found["vectors"]["difference"] < 1e-5
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    ours = fairseq_xalign.load_encoder(path, device="cpu").encode(SHORT, pooling=pooling)
    vectors = theirs.encode(SHORT, batch_size=7, show_progress_bar=False)
    np.testing.assert_allclose(vectors, ours, rtol=1e-5, atol=1e-5)
    assert "sentence-transformers" in (tmp_path / "out" / "README.md").read_text()


def test_what_has_no_equal_is_refused(tmp_path, capsys):
    path = checkpoint(tmp_path / "c.pt")
    with pytest.raises(UserError, match="--pooling max"):
        to_hf(path, tmp_path / "out", pooling="max")
    with pytest.raises(UserError, match="without the <s>"):
        to_hf(checkpoint(tmp_path / "m.pt", frame="eos", **MMTE), tmp_path / "out", pooling="cls")
    assert convert(["to-hf", str(path), str(tmp_path / "out"), "--pooling", "cls"]) == 1
    assert "goes with --sentence-transformers" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
