"""Wrong data and settings stop the training of translation before the first update, in a line that says what to do."""

import re
import shutil
import struct
import warnings
from pathlib import Path

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.__main__ import main as preprocess
from tests.support.parallel import make_folder
from tests.support.running import TRANSLATION, pretrain
from tests.support.samples import fairseq_folders, model_bytes
from tests.tasks.test_bad_input import copy_of, edit_manifest, nothing, prepare

MNMT = TRANSLATION["mnmt"]


def index_of(folder, language):
    return next((folder / "bitext").glob(f"train.en-de.{language}*.idx"))


def resized(folder, file):
    """Let the manifest agree with an edited file's size, so that the file itself is looked at."""
    name = f"bitext/{file.name}"
    edit_manifest(folder, lambda m: [s["files"][name].update(size=file.stat().st_size)
                                     for s in m["streams"] if name in s["files"]])  # fmt: skip


def truncated_index(folder):
    file = index_of(folder, "de")
    file.write_bytes(file.read_bytes()[:-40])
    resized(folder, file)


def truncated_index_behind_a_manifest(folder):
    file = index_of(folder, "de")
    file.write_bytes(file.read_bytes()[:-40])


def another_dtype(folder):
    """The type code of float32, which no ids are."""
    file = index_of(folder, "de")
    content = bytearray(file.read_bytes())
    struct.pack_into("<B", content, 17, 6)
    file.write_bytes(bytes(content))


def wider_dtype(folder):
    """int32 in the index, uint16 in the file of ids."""
    file = index_of(folder, "de")
    content = bytearray(file.read_bytes())
    struct.pack_into("<B", content, 17, 4)
    file.write_bytes(bytes(content))


def no_validation(folder):
    edit_manifest(folder, lambda m: m.update(streams=[s for s in m["streams"] if s["split"] != "valid"]))


CASES = [
    (nothing, ["--directions", "de-fr"], "--directions de-fr: there is no train text for it. Choose from en-de"),
    (nothing, ["-s", "de", "-t", "fr"], "no valid text for de-fr"),
    (nothing, ["-s", "de", "-t", "fr", "--valid-subset", "test"], r"no train text for de-fr \(it has en-de"),
    (nothing, ["--directions", "en-it"], "--directions: unknown language 'it'. Known: en, de, fr"),
    (nothing, ["--directions", "en-de,de-en,en-de"], "--directions lists en-de twice"),
    (nothing, ["--directions", "en-en"], "a language is not translated into itself"),
    (nothing, ["-s", "en", "-t", "de", "--directions", "fr-en"], "--target-lang de is none of --directions fr-en"),
    (nothing, ["-s", "en"], "Give both --source-lang and --target-lang"),
    (nothing, ["--sampling-temperature", "0"], "--sampling-temperature 0.0 is not a positive number"),
    (nothing, ["--sampling-temperature", "-5"], "--sampling-temperature -5.0 is not a positive number"),
    (nothing, ["--sampling-temperature", "nan"], "--sampling-temperature nan is not a positive number"),
    (nothing, ["--sampling-temperature-schedule", "0:0,5:9"], "'0:0' is not a temperature above 0"),
    (nothing, ["--sampling-weights", "en-de:-1"], "the weight of 'en-de' must be a number of at least 0"),
    (nothing, ["--sampling-weights", "en-it:1"], "unknown name in --sampling-weights 'en-it'"),
    (nothing, ["--sampling-weights", "en-de:1", "--sampling-temperature-schedule", "1:0"], "exclude each other"),
    (nothing, ["--target-token", "none"], r"--target-token none with 3 target languages \(de, en, fr\)"),
    (nothing, ["--max-source-positions", "1"], "--max-source-positions 1 is too small"),
    (nothing, ["--max-target-positions", "2"], "every one of the 21 pairs of valid en-de is empty or longer than 1024"),
    (nothing, ["--positions", "learned", "--max-positions", "30", "--max-source-positions", "31"],
     "--max-source-positions 31 exceeds the model's 30 positions"),
    (nothing, ["--max-tokens", "4"], "every one of the 21 pairs of valid en-de.*or 4 of both"),
    (nothing, ["--max-tokens", "70", "--mlm-weight", "1"],
     r"en-de is empty or longer than .* or 6 of both \(--max-tokens 70 less --tokens-per-sample 64 for --mlm-weight\)"
     ".*lower --tokens-per-sample"),
    (nothing, ["--label-smoothing", "1"], "--label-smoothing 1.0 is not a share"),
    (nothing, ["--mlm-weight", "-1"], "--mlm-weight -1.0 is too small. Choose 0 or more"),
    (nothing, ["--mlm-weight", "1", "--directions", "en-fr", "--mask-prob", "0"], "--mask-prob 0 hides nothing"),
    (nothing, ["--criterion", "mlm"], "--criterion mlm does not work with --task mnmt. Choose from mnmt"),
    (nothing, ["--eval-bleu-beam", "0"], "--eval-bleu-beam 0 is too small"),
    (nothing, ["--best-checkpoint-metric", "bleu"], "--best-checkpoint-metric bleu: no such figure is measured"),
    (truncated_index_behind_a_manifest, [], "but manifest.json says.*Binarize bitext train en-de again"),
    (truncated_index, [], r"train.en-de.de.idx: damaged: \d+ bytes long, but 300 items need"),
    (another_dtype, [], "train.en-de.de.idx: damaged: unknown type code 6"),
    (wider_dtype, [], r"train.en-de.de.(bin|idx): damaged:"),
    (no_validation, [], "no valid text for en-de.*--valid-subset or --disable-validation"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "options", "said"), CASES)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(parallel, tmp_path, spoil, options, said):
    folder = parallel
    if spoil is not nothing:
        folder = copy_of(parallel, tmp_path)
        spoil(folder)
    with warnings.catch_warnings(), pytest.raises(UserError, match=said):
        warnings.simplefilter("ignore")
        prepare(folder, *MNMT, *options)
    assert not (folder / "none").exists()


def test_an_encoder_alone_cannot_translate(parallel):
    with pytest.raises(UserError, match="--arch xalign_tiny is an encoder alone.*mmte_tiny"):
        prepare(parallel, "--task", "mnmt", "--criterion", "mnmt")


def test_weights_of_directions_leave_the_text_of_tlm_alone(parallel):
    """Its streams have the names of directions: bitext/en-de beside direction/en-de."""
    options = ["--tlm-weight", "1", "--mlm-weight", "1", "--sampling-temperature", "1"]
    plain, weighed = (prepare(parallel, *MNMT, *options, *more) for more in ([], ["--sampling-weights", "en-de:0"]))
    shares = [dict(zip((s.name for s in t.datasets["train"].streams), t.shares(t.datasets["train"].streams)))
              for t in (plain, weighed)]  # fmt: skip
    assert shares[1]["direction/en-de"] == 0
    rest = [shares[1][f"direction/{name}"] for name in ("de-en", "en-fr", "fr-en")]
    assert rest == pytest.approx([sum(rest) / 3] * 3) and rest[0] > 0
    others = [name for name in shares[0] if not name.startswith("direction")]
    assert [shares[0][n] for n in others] == pytest.approx([shares[1][n] for n in others])


def test_one_direction_or_several_into_one_language_need_no_target_token(parallel):
    for directions in ("en-de", "any-en"):
        assert prepare(parallel, *MNMT, "--target-token", "none", "--directions", directions).target_token == "none"


@pytest.fixture(scope="module")
def by_fairseq(tmp_path_factory):
    """A folder that fairseq-preprocess made, with the files of its subword folder, which has no <2xx>."""
    root = tmp_path_factory.mktemp("by_fairseq")
    fairseq_folders(root, Tokenizer.trained(model_bytes(), ["en", "de"]))
    for name in ("subword.json", "spm.model", "dict.txt"):
        shutil.copy(root / "vocabulary" / name, root / "pair" / name)
    return root / "pair"


def test_a_folder_of_fairseqs_trains_one_direction_and_gets_tokens_for_more(by_fairseq, tmp_path):
    folder = shutil.copytree(by_fairseq, tmp_path / "pair")
    files = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    options = [*MNMT, "--disable-validation", "--valid-subset", "train"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task = prepare(folder, *options, "--target-token", "none", "--directions", "en-de")
        assert len(task.datasets["train"]) == 50
        for token in ("source", "separate"):
            with pytest.raises(UserError, match="without <2de>.*check --write-manifest"):
                prepare(folder, *options, "--target-token", token, "--directions", "en-de")
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*")} == files, "read-only"
    assert preprocess(["check", "--write-manifest", str(folder)]) == 0
    task = prepare(folder, *options)
    assert task.directions == [("en", "de"), ("de", "en")] and task.target_token == "source"


def test_parts_of_a_corpus_must_have_one_vocabulary(parallel, tmp_path):
    other = make_folder(tmp_path, vocabulary=45)
    with pytest.raises(UserError, match="Binarize all shards with the same subword folder"):
        prepare(Path(f"{parallel}:{other}"), *MNMT)


def test_a_checkpoint_of_other_directions_or_another_vocabulary_is_refused(parallel, tmp_path):
    first = pretrain(parallel, tmp_path / "run", "mnmt", 1, "--directions", "en-de,de-en")
    assert first.status == 0, first.text[-1500:]
    before = (first.save_dir / "checkpoint_last.pt").read_bytes()
    folder = ["--save-dir", first.save_dir]
    with pytest.raises(UserError, match="trained on the directions en-de, de-en, this run has en-de, en-fr"):
        prepare(parallel, *MNMT, *folder, "--directions", "en-de,en-fr")
    with pytest.raises(UserError, match="--target-token separate: the checkpoint was trained with"):
        prepare(parallel, *MNMT, *folder, "--directions", "en-de,de-en", "--target-token", "separate")
    start = ["--finetune-from-model", first.save_dir / "checkpoint_last.pt"]
    assert prepare(parallel, *MNMT, *start, "--directions", "en-fr").directions == [("en", "fr")]
    other = make_folder(tmp_path, vocabulary=45)
    with pytest.raises(UserError, match=re.escape(str(other)) + ".*its vocabulary .* is not that of the checkpoint"):
        prepare(other, *MNMT, *start)
    assert (first.save_dir / "checkpoint_last.pt").read_bytes() == before
    encoder = pretrain(parallel, tmp_path / "encoder", "mlm", 1)
    with pytest.raises(UserError, match="an encoder alone, which cannot translate"):
        prepare(parallel, *MNMT, "--finetune-from-model", encoder.save_dir / "checkpoint_last.pt")


def test_a_tag_that_the_vocabulary_lacks_is_named_with_those_it_has(parallel, tmp_path):
    """The folder has text in fr, its vocabulary no <2fr>."""
    folder = copy_of(parallel, tmp_path)
    tokenizer = Tokenizer.load(folder)
    Tokenizer.trained(tokenizer.model_bytes, tokenizer.languages, ["en", "de"]).save_into(folder)
    symbols = Tokenizer.load(folder).symbols()
    with pytest.raises(
        UserError, match="its text was binarized with .* symbols, which are not the .* of the tokenizer"
    ):
        prepare(folder, *MNMT)

    def shrink(manifest):
        from fairseq_xalign.tokenizer.vocabulary import symbols_sha256

        manifest["vocabulary"] = {"size": len(symbols), "sha256": symbols_sha256(symbols)}

    edit_manifest(folder, shrink)
    with pytest.raises(UserError, match=r"has no <2fr>.*it has <2en>, <2de>.*--language-tokens"):
        prepare(folder, *MNMT)
