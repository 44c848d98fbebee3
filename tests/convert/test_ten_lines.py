"""The lines of docs/transformers.md that lead from mBERT to an aligned model, on a small model of BERT's layout."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("transformers")

from tests.support.foreign_models import SHAPE, write_bert
from tests.test_readme import ROOT, run, small_files

SMALLER = {
    "bert-base-multilingual-cased": "source",
    "--arch xalign_mbert": "--arch xalign_mbert --encoder-layers {num_hidden_layers} --encoder-embed-dim {hidden_size} "
    "--encoder-ffn-embed-dim {intermediate_size} --encoder-attention-heads {num_attention_heads} --max-positions 64 "
    "--max-tokens 512".format(**SHAPE),
}


def test_the_ten_lines_lead_to_a_model_in_transformers(tmp_path):
    page = (ROOT / "docs" / "transformers.md").read_text("utf-8")
    block = re.search(r"in ten lines\n.*?```console\n(.*?)```", page, re.S)
    assert block is not None and len(block[1].strip().splitlines()) <= 10
    commands = re.sub(r"\\\n\s*", "", block[1]).strip().splitlines()
    small_files(tmp_path)
    write_bert(tmp_path / "source")
    for command in commands:
        for old, new in SMALLER.items():
            command = command.replace(old, new)
        if command.startswith("python"):
            done = subprocess.run([sys.executable, *command.split(" ", 2)[1:2], command.split('"')[1]], cwd=tmp_path,
                                  capture_output=True, text=True, check=False)  # fmt: skip
            assert done.returncode == 0, done.stderr
        else:
            run(command, tmp_path)
    assert "equal ids for 256 of 256 texts" in (tmp_path / "aligned_mbert" / "README.md").read_text("utf-8")
