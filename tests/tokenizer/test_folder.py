"""Subword folders and checkpoints: what is saved comes back, what is damaged is refused."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.small_tokenizers import KINDS, LINES, PIECES, small, small_doubled


@pytest.mark.parametrize("kind", KINDS)
def test_save_load_state_and_pickle_keep_ids_and_hash(kind, tmp_path):
    tokenizer = small_doubled(kind)
    tokenizer.save(tmp_path / "subword")
    torch.save({"tokenizer": tokenizer.state()}, tmp_path / "checkpoint.pt")
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["tokenizer"]
    derived = " ".join(tokenizer.transliterate(word) for word in LINES[0].split())
    for copy in (
        Tokenizer.load(tmp_path / "subword"),
        Tokenizer.from_state(stored),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert copy.sha256 == tokenizer.sha256
        assert copy.symbols() == tokenizer.symbols()
        assert copy.encode(f"{LINES[0]} {derived}") == tokenizer.encode(f"{LINES[0]} {derived}")
        assert copy.state() == tokenizer.state()


def test_the_hash_tells_apart_what_gives_other_ids():
    trained = small("trained")
    state = trained.state()
    others = [trained.doubled(), trained.doubled(0.25, 1), trained.doubled(0.25, 2)]
    others.append(Tokenizer.from_state(state | {"language_tokens": ["<2fr>", "<2de>"]}))
    assert len({other.sha256 for other in (trained, *others)}) == 5
    same = Tokenizer.from_state(state | {"options": {"seed": 2}, "languages": ["en", "xx"]})
    assert same.sha256 == trained.sha256


def edit(place: Path, **changes) -> None:
    place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "subword.json").unlink(), "not a subword folder"),
        (lambda f: (f / "subword.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "subword.json").write_text("[]"), "format"),
        (lambda f: edit(f / "subword.json", format=99), "format 99, but this version reads 1"),
        (lambda f: edit(f / "subword.json", pieces=None), "'pieces' is missing"),
        (lambda f: edit(f / "subword.json", pieces=PIECES - 1), "dict.txt has"),
        (lambda f: edit(f / "subword.json", derived={"overlap": 0}), "kept"),
        (lambda f: edit(f / "subword.json", kind="magic", model="magic.bin"), "unknown kind"),
        (lambda f: edit(f / "subword.json", excluded=[5], language_tokens=["<2de>"]), "excluded"),
        (lambda f: (f / "spm.model").unlink(), "missing"),
        (lambda f: (f / "spm.model").write_bytes(b"x"), "changed or damaged"),
        (lambda f: (f / "dict.txt").write_text("<mask> 1\n"), "changed or damaged"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_remedy(tmp_path, damage, message):
    trained = small("trained")
    trained.save(tmp_path / "subword")
    damage(tmp_path / "subword")
    with pytest.raises(UserError, match=message):
        Tokenizer.load(tmp_path / "subword")


def test_a_checkpoint_of_a_newer_format_is_refused():
    trained = small("trained")
    with pytest.raises(UserError, match="format 2"):
        Tokenizer.from_state(trained.state() | {"format": 2})


def test_saving_replaces_a_subword_folder_and_nothing_else(tmp_path):
    trained = small("trained")
    trained.save(tmp_path / "subword")
    trained.doubled().save(tmp_path / "subword")
    assert len(Tokenizer.load(tmp_path / "subword").derived_ids) == PIECES
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work")
    with pytest.raises(UserError, match="not a subword folder"):
        trained.save(mine)
    assert (mine / "chapter.txt").read_text() == "years of work"
    (tmp_path / "subword" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="not a subword folder"):
        trained.save(tmp_path / "subword")
