"""From raw text to a checkpoint or a score: every command takes what the one before it wrote."""

import json
from pathlib import Path

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.models.checkpoint import read_checkpoint
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.__main__ import main as preprocess
from tests.support.running import finetune, pretrain
from tests.support.samples import sentences, write_lines
from tests.support.small_tokenizers import TEXT


def run(*arguments: object) -> None:
    assert preprocess([str(a) for a in arguments]) == 0


def treebank(path: Path, lines: list[str]) -> None:
    """Words whose tag is that of their first letter."""
    tags = {True: "NOUN", False: "VERB"}
    rows = [
        "".join(f"{i}\t{word}\t_\t{tags[word[0] < 'm']}" + 6 * "\t_" + "\n" for i, word in enumerate(line.split(), 1))
        for line in lines
    ]
    path.write_text("".join(f"{row}\n" for row in rows), "utf-8")


def test_codes_with_hyphens_work_from_raw_text_to_a_score(tmp_path, capsys):
    zh, pt = tmp_path / "zh.txt", tmp_path / "pt.txt"
    write_lines(zh, sentences("en", 300))
    write_lines(pt, sentences("de", 300))
    sub, data, words = tmp_path / "sub", tmp_path / "data", tmp_path / "words.tsv"
    run("subword", "--input", f"zh-TW={zh}", "--input", f"pt-BR={pt}", "--vocab-size", 80, "--output", sub,
        "--language-tokens", "zh-TW,pt-BR")  # fmt: skip
    write_lines(tmp_path / "list", ["the der", "ing ung", "tree baum"])
    run("dictionary", "--muse", tmp_path / "list", "--source", "zh-TW", "--target", "pt-BR", "--pieces", "mean",
        "--subword", sub, "--output", words)  # fmt: skip
    for split in ("train", "valid"):
        run("binarize", "--subword", sub, "--output", data, "--split", split, "--workers", 1,
            "--mono", f"zh-TW={zh}", "--mono", f"pt-BR={pt}", "--bitext", f"zh-TW:pt-BR={zh},{pt}",
            "--dictionary", f"zh-TW-pt-BR={words}")  # fmt: skip
    run("check", data)
    folder = DataFolder.open(data)
    assert folder.languages == ["zh-TW", "pt-BR"] and folder.tokenizer.language_id("zh-TW") is not None

    options = ["--languages", "zh-TW,pt-BR", "--sampling-weights", "zh-TW:1,pt-BR:2,zh-TW:pt-BR:1"]
    trained = pretrain(data, tmp_path / "run", "xalign", 2, *options)
    assert trained.status == 0, trained.text[-2000:]
    assert "bitext/zh-TW:pt-BR" in trained.text
    assert read_checkpoint(trained.save_dir / "checkpoint_last.pt")["task_state"]["languages"] == ["zh-TW", "pt-BR"]

    for split in ("train", "valid", "test"):
        treebank(tmp_path / f"{split}.zh-TW.conllu", sentences("en", 30))
    run("benchmark", "pos", "--from", tmp_path, "--output", tmp_path / "LABELLED")
    languages = ["--train-languages", "zh-TW", "--valid-languages", "zh-TW"]
    tagger = finetune(tmp_path / "LABELLED", trained.save_dir, tmp_path / "tagger", "tagging", 2, *languages)
    assert tagger.status == 0, tagger.text[-2000:]
    predicted = tmp_path / "predicted.jsonl"
    predict = ["predict", "--checkpoint", tagger.save_dir, "--data", tmp_path / "LABELLED", "--languages", "zh-TW"]
    assert evaluate([str(a) for a in (*predict, "--output", predicted)]) == 0
    capsys.readouterr()
    assert evaluate(["score", "--task", "pos", "--predictions", str(predicted), "--language", "zh-TW", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["scores"]) == ["zh-TW"]


def test_byte_level_pieces_serve_from_derived_text_to_a_checkpoint(tmp_path):
    text, sub, doubled, data = TEXT, tmp_path / "sub", tmp_path / "doubled", tmp_path / "data"
    run("subword", "--input", f"en={text}", "--vocab-size", 400, "--model-type", "bbpe", "--output", sub)
    run("derive", "--transform", "trans", "--subword", sub, "--output-subword", doubled, "--format", "text",
        "--input", text, "--output", tmp_path / "xx")  # fmt: skip
    run("dictionary", "--derived", doubled, "--source", "en", "--target", "xx", "--output", tmp_path / "en-xx.tsv")
    for split in ("train", "valid"):
        run("binarize", "--subword", doubled, "--split", split, "--output", data, "--workers", 1, "--max-unknown", 0,
            "--mono", f"en={text}", "--mono", f"xx={tmp_path}/xx", "--dictionary", f"en-xx={tmp_path}/en-xx.tsv",
            "--bitext", f"en-xx={text},{tmp_path}/xx")  # fmt: skip
    trained = pretrain(data, tmp_path / "run", "align_mlm", 2)
    assert trained.status == 0, trained.text[-2000:]
    tokenizer = Tokenizer.from_state(trained.checkpoint()["task_state"]["tokenizer"])
    natural, derived = (file.read_text("utf-8").splitlines() for file in (text, tmp_path / "xx"))
    assert tokenizer.shift(tokenizer.encode(natural[0])) == tokenizer.encode(derived[0])
    assert tokenizer.decode(tokenizer.encode(natural[0])) == natural[0]
