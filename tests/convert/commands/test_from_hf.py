"""``xalign-convert from-hf``: a folder complete in itself, from which every criterion and task trains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import transformers

from fairseq_xalign.convert.__main__ import main
from fairseq_xalign.convert.commands.from_hf import from_hf
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.words import split_words
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_checkpoint, read_encoder
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.__main__ import main as preprocess
from tests.support.foreign_models import write_bert, write_xlmr
from tests.support.running import CRITERIONS, ROOT, _start, finish
from tests.support.small_tokenizers import LINES

SHAPE = "--encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48 --encoder-attention-heads 4 " \
    "--max-positions 64".split()  # fmt: skip
COMMON = (
    "--optimizer adamw --lr 0.001 --seed 1 --cpu --num-workers 0 --log-format json --log-interval 1 "
    "--no-epoch-checkpoints --max-update 2"
).split()
ARCHS = {"xalign_mbert": write_bert, "xalign_xlmr_base": write_xlmr}


@pytest.fixture(scope="module", params=ARCHS)
def converted(request, tmp_path_factory):
    """The folder that a small model of an --arch was converted to, and a data folder binarized with its tokenizer."""
    root = tmp_path_factory.mktemp("converted")
    ARCHS[request.param](root / "theirs")
    assert main(["from-hf", str(root / "theirs"), str(root / "ours")]) == 0
    short = [" ".join(line.split()[:5]) for line in LINES[:60]]
    (root / "train.en").write_text("\n".join(short) + "\n", "utf-8")
    words = [split_words(line) for line in short]
    (root / "train.xx").write_text("".join(" ".join(reversed(line)) + "\n" for line in words), "utf-8")
    links = [" ".join(f"{i}-{len(line) - 1 - i}" for i in range(len(line))) for line in words]
    (root / "links").write_text("\n".join(links) + "\n", "utf-8")
    (root / "words").write_text("the of\nand in\n", "utf-8")
    run = [str(root / name) for name in ("ours", "train.en", "train.xx", "words", "d.tsv", "DATA")]
    ours, en, xx, pairs, dictionary, data = run
    assert preprocess(["dictionary", "--muse", pairs, "--source", "en", "--target", "xx", "--subword", ours,
                       "--pieces", "mean", "--output", dictionary]) == 0  # fmt: skip
    for split in ("train", "valid"):
        assert preprocess(["binarize", "--subword", ours, "--split", split, "--output", data, "--workers", "1",
                           "--mono", f"en={en}", "--mono", f"xx={xx}", "--bitext", f"en-xx={en},{xx}",
                           "--links", f"en-xx={root / 'links'}", "--link-pieces", "all", "--max-unknown", "1",
                           *(["--dictionary", f"en-xx={dictionary}"] * (split == "train"))]) == 0  # fmt: skip
    return request.param, root


def train(root: Path, save: Path, *options: str):
    arguments = [*options, "--user-dir", str(ROOT / "fairseq_xalign"), *COMMON, "--save-dir", str(save / "checkpoints")]
    save.mkdir(parents=True)
    process = _start(arguments, save / "log.0", -1)
    return finish(process, save)


def test_the_folder_is_complete_in_itself(converted):
    root = converted[1]
    ours = root / "ours"
    names = {file.name for file in ours.iterdir()}
    assert {"checkpoint_best.pt", "dict.txt", "subword.json", "settings.json"} < names
    encoder, tokenizer, task = read_encoder(ours)
    assert Tokenizer.load(ours).sha256 == tokenizer.sha256 == DataFolder.open(root / "DATA").tokenizer.sha256
    assert task["converted"] == {"command": "from-hf", "of": [str(root / "theirs")]}
    assert task["foreign"]["config"] == json.loads((root / "theirs" / "config.json").read_text())
    settings = json.loads((ours / "settings.json").read_text())
    assert re.match(r"--arch xalign_\w+ (--[a-z-]+ \w+ ?)+$", settings["train_with"])
    assert settings["parameters"] == sum(p.numel() for p in encoder.parameters())


FURTHER = {
    "ppa": ["--criterion", "ppa", "--moco-queue", "9", "--batch-size", "4"],
    "tpp": ["--criterion", "tpp", "--tpp-head", "pooler", "--batch-size", "4"],
    "weam": ["--criterion", "weam"],
    "a mixture": ["--criterion", "xalign", "--objectives", "moco,tlm,weam:0.5,align:10,wordalign,tpp", "--batch-size",
                  "16", "--moco-queue", "9"],
}  # fmt: skip


@pytest.mark.parametrize("criterion", ["mlm", "tlm", "xlm", "dict_mlm", "align_mlm", *FURTHER])
def test_every_criterion_trains_from_it(converted, criterion, tmp_path):
    arch, root = converted
    if arch != "xalign_mbert" and criterion not in ("xlm", "align_mlm", "a mixture"):
        pytest.skip("the other shape trains with three of them")
    options = (CRITERIONS | FURTHER)[criterion]
    run = train(root, tmp_path / "run", str(root / "DATA"), "--task", "align_mlm", "--arch", arch, *SHAPE, *options,
                "--finetune-from-model", str(root / "ours"), "--tokens-per-sample", "64",
                "--max-tokens", "512", *(["--tlm-packing", "pairs"] if criterion in ("tlm", "xlm") else [])
                )  # fmt: skip
    assert run.status == 0, run.text[-2000:]
    assert len(run.losses()) == 2
    state = run.checkpoint()
    assert not any(name.startswith("foreign.") for name in state["model"])  # they would not fit the trained encoder
    before = read_checkpoint(root / "ours")
    assert state["task_state"]["foreign"] == before["task_state"]["foreign"] | {"fresh": []}
    assert ("encoder.embed_languages.weight" in state["model"]) == (criterion in ("xlm", "dict_mlm"))
    name = "encoder.layers.1.qkv.weight"
    moved = (state["model"][name] - before["model"][name]).abs().max()
    assert 0 < moved < 0.01  # it began at the converted weights


def test_it_is_fine_tuned_on_every_kind_of_task(converted, tmp_path):
    arch, root = converted
    kinds = {
        "tagging": [{"id": str(i), "tokens": line.split()[:5], "tags": ["A", "B"] * 2 + ["A"]} for i, line in
                    enumerate(LINES[:40]) if len(line.split()) >= 5],
        "classification": [{"id": str(i), "text": line, "label": "AB"[i % 2]} for i, line in enumerate(LINES[:40])],
    }  # fmt: skip
    for kind, rows in kinds.items():
        folder = tmp_path / kind
        folder.mkdir()
        for split in ("train", "valid"):
            (folder / f"{split}.en.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        name = {"tagging": "pos", "classification": "classification"}[kind]
        labels = {"format": 1, "task": kind, "labels": ["A", "B"], "name": name}
        (folder / "labels.json").write_text(json.dumps(labels))
        run = train(root, tmp_path / f"{kind}-run", str(folder), "--task", f"xling_{kind}", "--criterion", "xling",
                    "--arch", arch, *SHAPE, "--finetune-from-model", str(root / "ours"), "--max-length", "60",
                    "--batch-size", "8")  # fmt: skip
        assert run.status == 0, run.text[-2000:]
        assert run.checkpoint()["task_state"]["foreign"]["config"]["model_type"] in ("bert", "xlm-roberta")


def test_a_fresh_head_begins_at_unigram_frequencies_when_asked(tmp_path):
    from_hf(write_bert(tmp_path / "theirs", transformers.BertModel), tmp_path / "ours")
    (tmp_path / "en").write_text("\n".join(LINES[:60]) + "\n", "utf-8")
    for split in ("train", "valid"):
        assert preprocess(["binarize", "--subword", str(tmp_path / "ours"), "--split", split, "--workers", "1",
                           "--output", str(tmp_path / "DATA"), "--mono", f"en={tmp_path}/en"]) == 0  # fmt: skip
    run = train(tmp_path, tmp_path / "run", str(tmp_path / "DATA"), "--task", "align_mlm", "--arch", "xalign_mbert",
                *SHAPE, "--criterion", "mlm", "--unigram-bias", "--finetune-from-model", str(tmp_path / "ours"),
                "--tokens-per-sample", "64", "--max-tokens", "256")  # fmt: skip
    assert run.status == 0, run.text[-2000:]
    bias = run.checkpoint()["model"]["encoder.lm_bias"]
    tokenizer = Tokenizer.load(tmp_path / "ours")
    assert bias[tokenizer.id("the")] > bias[tokenizer.id("[unused0]")] + 1


def test_what_cannot_be_converted_leaves_nothing(tmp_path, capsys, monkeypatch):
    folder = write_bert(tmp_path / "theirs")
    out = tmp_path / "out"

    def full(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", full)
    assert main(["from-hf", str(folder), str(out)]) == 130
    monkeypatch.undo()
    (folder / "config.json").write_text('{"model_type": "t5", "architectures": ["T5Model"]}')
    assert main(["from-hf", str(folder), str(out)]) == 1
    assert "'t5' (T5Model) is not supported. Supported: bert" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(UserError, match="out: exists already"):
        from_hf(folder, out)


def test_the_command_trims(tmp_path, capsys):
    folder = write_bert(tmp_path / "theirs")
    (tmp_path / "en").write_text("the of and\n", "utf-8")
    corpus = f"en={tmp_path}/en"
    assert main(["from-hf", str(folder), str(tmp_path / "out"), "--languages", "en", "--corpus", corpus]) == 0
    assert re.search(r"vocabulary trimmed from \d+ symbols to \d+", capsys.readouterr().err)
    assert Tokenizer.load(tmp_path / "out").languages == ["en"]
    for options, message in (
        (["--corpus", corpus], "--corpus goes with --languages"),
        (["--languages", "en,de", "--corpus", corpus], "--languages de: no text in it"),
        (["--languages", "en", "--corpus", corpus, "--corpus", corpus.replace("en=", "de=")], "--corpus de=: not one"),
        (["--languages", "en", "--corpus", corpus, "--keep", "0"], "keep"),
    ):
        assert main(["from-hf", str(folder), str(tmp_path / "other"), *options]) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "other").exists()
