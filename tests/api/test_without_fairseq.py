"""The Python API works where fairseq, hydra and omegaconf, and all that only training needs, are not installed."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.checkpoints import PRETRAINED, classifier_state, save, translation_state, two_layers_state

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = {"hydra-core": "hydra", "scikit-learn": "sklearn", "cython": "Cython"}
REFUSED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}: refused by the test", name=name)

sys.meta_path.insert(0, Refuse())
"""
USE = """
import fairseq_xalign
encoder = fairseq_xalign.load_encoder("encoder.pt")
print(encoder.encode(["the house", "no"]).shape, len(encoder.token_features("the house").pieces))
print(encoder.align("the house", "the house"), len(encoder.fill_mask("the <mask>")[0]))
print(type(fairseq_xalign.load_translator("mnmt.pt").translate("the house", "xx", beam=1, max_len_b=3)))
print(len(fairseq_xalign.load_tagger(TAGGER).predict("the house").tags))
print(fairseq_xalign.load_classifier("classifier.pt").predict("the house").label)
from fairseq_xalign.evaluate.__main__ import main
assert main(["encode", "--checkpoint", "encoder.pt", "--input", "text", "--output", "out.npy"]) == 0
"""


def only_for_training() -> set[str]:
    """The modules of the extra ``train``, and fairseq."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {requirement.split(">")[0].split("=")[0] for requirement in project["optional-dependencies"]["train"]}
    assert {"hydra-core", "omegaconf", "bitarray"} <= named
    return {DISTRIBUTIONS.get(name, name) for name in named} | {"fairseq", "fairseq_cli"}


@pytest.fixture
def folder(tmp_path):
    save(two_layers_state(), tmp_path / "encoder.pt")
    save(translation_state(), tmp_path / "mnmt.pt")
    save(classifier_state(), tmp_path / "classifier.pt")
    (tmp_path / "text").write_text("the house\nno\n", "utf-8")
    return tmp_path


def test_every_function_works_where_training_could_not(folder):
    refused = only_for_training()
    code = REFUSED.format(names=refused) + USE.replace("TAGGER", repr(str(PRETRAINED.parents[1] / "finetuned")))
    code += f"assert not {refused!r} & set(sys.modules)\n"
    here = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("(2, 32) ") and lines[2] == "<class 'str'>" and lines[3] == "2" and lines[4] in "abc"
    assert (folder / "out.npy").exists()


def test_the_refusal_refuses():
    done = subprocess.run([sys.executable, "-c", REFUSED.format(names={"omegaconf"}) + "import omegaconf"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1 and "refused by the test" in done.stderr
