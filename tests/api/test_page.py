"""The examples of docs/python.md run as printed, in order."""

import re
from pathlib import Path

import numpy as np
import pytest

from fairseq_xalign.evaluate.__main__ import main
from tests.api.test_transformers_folder import small_bert
from tests.support.checkpoints import PRETRAINED, classifier_state, save, translation_state, two_layers_state
from tests.support.samples import sentences, write_lines

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="no documentation beside this package")


def examples() -> list[tuple[str, str]]:
    """(language, text) of the page's blocks."""
    return re.findall(r"^```(python|bash)\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with everything that the page names."""
    pytest.importorskip("sklearn")
    save(two_layers_state(), tmp_path / "runs" / "align" / "checkpoint_best.pt")
    save(classifier_state(), tmp_path / "runs" / "topics" / "checkpoint_best.pt")
    save(translation_state(languages=("en", "de")), tmp_path / "runs" / "mnmt" / "checkpoint_best.pt")
    (tmp_path / "runs" / "pos").symlink_to(PRETRAINED.parents[1] / "finetuned")
    small_bert(tmp_path / "mbert")
    write_lines(tmp_path / "de.txt", sentences("de", 20))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_work_in_order(folder):
    found = examples()
    assert len(found) >= 9
    names: dict = {}
    for language, text in found:
        if language == "bash":
            assert main(text.split()[1:]) == 0
        else:
            exec(compile(text, str(PAGE), "exec"), names)
    assert names["similarity"] == pytest.approx(float(np.clip(names["similarity"], -1.0001, 1.0001)))
    assert names["vectors"].shape == (20, 32) and len(names["german"]) == 2 and len(names["many"]) == 2
    assert len(names["candidates"][0]) == 3 and len(names["tagged"].tags) == 5
