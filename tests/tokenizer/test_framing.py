"""What stands around a text is said by the checkpoint, and read from it in one place."""

from __future__ import annotations

import ast
from pathlib import Path

from fairseq_xalign.tokenizer.framing import FRAMES, frame_of

PACKAGE = Path(__file__).parents[2] / "fairseq_xalign"
OWN_LAYOUTS = {"data/collate.py", "data/known_pairs.py", "tokenizer/models.py", "tokenizer/framing.py", "constants.py"}
OWN_LAYOUTS |= {f"convert/hf/{name}.py" for name in ("departure", "tokenizer_out", "vocabulary")}
"""Where else the id of ``<s>`` is written: the layouts of pre-training, and the vocabularies, ours and others'."""


def test_the_two_frames_are_those_of_masked_language_models_and_of_translation():
    assert FRAMES["s"].around([7, 8]) == [0, 7, 8, 2] and (FRAMES["s"].before, FRAMES["s"].extra) == (1, 2)
    assert FRAMES["eos"].around([7, 8]) == [7, 8, 2] and (FRAMES["eos"].before, FRAMES["eos"].extra) == (0, 1)


def test_checkpoints_of_before_have_s_and_translation_models_have_none():
    assert frame_of({"encoder": {}}) is FRAMES["s"]
    assert frame_of({"encoder": {}, "decoder": {}}) is FRAMES["eos"]
    assert frame_of({"encoder": {}, "input": "eos"}) is FRAMES["eos"]
    assert frame_of({"encoder": {}, "decoder": {}, "input": "s"}) is FRAMES["s"]


def test_no_other_file_puts_s_ahead_of_a_text():
    users = set()
    for file in PACKAGE.rglob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Name)}
        if "BOS" in names:
            users.add(str(file.relative_to(PACKAGE)))
    assert users <= OWN_LAYOUTS, "frame texts with tokenizer.framing"
