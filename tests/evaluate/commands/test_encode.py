"""`encode`: one vector per line, whole or not at all, in memory that does not grow."""

import gzip
import io
import subprocess
import sys

import numpy as np
import pytest

import fairseq_xalign
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands import encode as command
from tests.support.checkpoints import save, two_layers_state
from tests.support.samples import write_lines

LINES = ["the house on the hill", "", "no", "a walk in the garden behind the house", "he said <s> no </s>"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save(two_layers_state(), folder / "checkpoint_best.pt")
    write_lines(folder / "text", LINES)
    return folder


def encode(run, *options, text="text", output="out.npy"):
    return main(["encode", "--checkpoint", str(run), "--input", str(run / text), "--output", str(run / output),
                 "--device", "cpu", *options])  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--pooling", "cls", "--layer", "1"], ["--normalize", "--batch-size", "2"]])
def test_the_file_has_the_vectors_of_the_lines(run, options, monkeypatch, capsys):
    monkeypatch.setattr(command, "CHUNK", 2)
    assert encode(run, *options) == 0
    assert "5 vectors of 32" in capsys.readouterr().err
    found = np.load(run / "out.npy", mmap_mode="r")
    assert found.dtype == np.float32 and found.shape == (5, 32)
    values = iter([*options, None])
    settings = {"pooling": "cls", "layer": 1} if "cls" in options else {"normalize": "--normalize" in options}
    assert next(values) is None or options
    np.testing.assert_allclose(found, fairseq_xalign.load_encoder(run).encode(LINES, **settings), atol=1e-5)


def test_compressed_text_standard_input_and_pipes_are_read(run, tmp_path):
    (run / "text.gz").write_bytes(gzip.compress((run / "text").read_bytes()))
    assert encode(run, text="text.gz", output="gz.npy") == 0
    here = [sys.executable, "-m", "fairseq_xalign.evaluate", "encode", "--checkpoint", run, "--input", "-"]
    done = subprocess.run([*here, "--output", "/dev/stdout"], input=(run / "text").read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), np.load(run / "gz.npy"))


def test_long_lines_are_counted_once_for_the_whole_file(run, monkeypatch, capsys):
    monkeypatch.setattr(command, "CHUNK", 2)
    write_lines(run / "long", ["house " * 99, "no", "house " * 99, "no", "no"])
    assert encode(run, text="long", output="long.npy") == 0
    assert capsys.readouterr().err.count("2 of 5 sentences cut off at 64 tokens") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "7"], "--layer 7: the model has 2 layers"),
        (["--batch-tokens", "0"], "--batch-tokens 0 is too small"),
        (["--device", "tpu"], "--device tpu"),
    ],
)
def test_a_mistake_leaves_the_old_file(run, options, message, capsys):
    (run / "kept.npy").write_bytes(b"before")
    assert encode(run, *options, output="kept.npy") == 1
    assert message in capsys.readouterr().err
    assert (run / "kept.npy").read_bytes() == b"before"


def test_a_bad_line_in_the_middle_leaves_nothing(run, monkeypatch, capsys):
    monkeypatch.setattr(command, "CHUNK", 1)
    (run / "bad").write_bytes(b"the house\nno\n\xff\xfe\xfd\n")
    assert encode(run, text="bad", output="bad.npy") == 1
    assert "bad:3: invalid UTF-8" in capsys.readouterr().err
    (run / "empty").write_bytes(b"")
    assert encode(run, text="empty", output="bad.npy") == 1
    assert "no sentences" in capsys.readouterr().err
    assert not list(run.glob("*bad.npy*"))
