"""What xalign-convert makes of a real training: it trains on, is fine-tuned, and knows its new language."""

import shutil

import pytest
import torch

from fairseq_xalign.convert.__main__ import main as convert
from fairseq_xalign.convert.commands.average import last_checkpoints
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.evaluate.__main__ import main as evaluate
from fairseq_xalign.models.checkpoint import read_checkpoint, read_encoder
from preprocess.__main__ import main as preprocess
from tests.support.parallel import make_folder, sentences, spelled
from tests.support.running import finetune, pretrain
from tests.support.samples import write_lines


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("convert")


@pytest.fixture(scope="module")
def data(root):
    return make_folder(root)


@pytest.fixture(scope="module")
def trained(root, data):
    """Six updates, with a checkpoint after every two."""
    options = ["--updates-per-epoch", 6, "--save-interval-updates", 2]
    run = pretrain(data, root / "run", "mnmt", 6, *options)
    assert run.status == 0, run.text[-3000:]
    return run.save_dir


def trains_on(data, start, folder, *options):
    """Begin a training with the weights of ``start``; its first loss and its checkpoint."""
    run = pretrain(data, folder, "mnmt", 1, "--finetune-from-model", start, *options)
    assert run.status == 0, run.text[-3000:]
    return run.losses()[0], run.checkpoint()


def test_an_average_trains_on(root, data, trained):
    assert convert(["average", "--last", "2", str(trained), str(root / "average.pt")]) == 0
    chosen = [read_checkpoint(path) for path in last_checkpoints(trained, 2)]
    assert [state["optimizer_history"][-1]["num_updates"] for state in chosen] == [4, 6]
    states = [state["model"] for state in chosen]
    made = read_checkpoint(root / "average.pt")["model"]
    for name, value in made.items():
        torch.testing.assert_close(value, (states[0][name] + states[1][name]) / 2)
    loss, _ = trains_on(data, root / "average.pt", root / "from_average")
    fresh = pretrain(data, root / "fresh", "mnmt", 1)
    assert loss < fresh.losses()[0] - 0.3, "it begins with what was learned"


def test_a_grown_model_trains_on_its_new_language_and_on_the_old_ones(root, data, trained):
    grown = root / "grown"
    assert convert(["add-language", str(trained), "nl", str(grown), "--subword", str(root / "sub_nl")]) == 0
    shutil.copytree(data, root / "DATA_nl")
    assert preprocess(["check", "--write-manifest", "--language-tokens", "nl", str(root / "DATA_nl")]) == 0
    for split, count in (("train", 30), ("valid", 5)):
        lines = sentences(count, f"{split}nl")
        files = [
            write_lines(root / f"{split}.nl.{side}", [spelled(words, made_as) for words in lines])
            for side, made_as in (("en", "en"), ("nl", "fr"))
        ]
        pair = f"en-nl={files[0]},{files[1]}"
        options = ["--subword", str(root / "sub_nl"), "--split", split, "--output", str(root / "DATA_nl")]
        assert preprocess(["binarize", *options, "--workers", "1", "--bitext", pair]) == 0
    assert DataFolder.open(root / "DATA_nl").tokenizer.language_token("nl") == len(
        DataFolder.open(data).tokenizer.symbols()
    )
    _, state = trains_on(root / "DATA_nl", grown, root / "from_grown")
    assert state["task_state"]["languages"] == ["en", "de", "fr", "nl"]
    assert {"en-nl", "nl-en", "en-de"} <= set(state["task_state"]["directions"])
    refused = pretrain(data, root / "refused", "mnmt", 1, "--finetune-from-model", grown)
    assert refused.status == 1 and "is not that of the checkpoint" in refused.text.splitlines()[-1]


def test_an_encoder_from_translation_is_trained_further_on_pairs(data, root, trained, tmp_path, capsys):
    encoder = tmp_path / "encoder.pt"
    assert convert(["from-mnmt", str(trained), str(encoder)]) == 0
    said = capsys.readouterr().err.split("fine-tune it with ")[1].split(" --finetune-from-model")[0]
    for objectives in ("moco,tlm", "tpp"):
        options = [*said.split(), "--criterion", "xalign", "--objectives", objectives, "--batch-size", 8]
        options += ["--moco-queue", 9] if "moco" in objectives else []
        run = pretrain(data, tmp_path / objectives, "mlm", 2, *options, "--finetune-from-model", encoder)
        assert run.status == 0, run.text[-3000:]
        before = torch.load(encoder, weights_only=False)["model"]["encoder.layers.0.qkv.weight"]
        moved = (run.checkpoint()["model"]["encoder.layers.0.qkv.weight"] - before).abs().max()
        assert len(run.losses()) == 2 and 0 < moved < 0.1


def test_an_encoder_from_translation_is_fine_tuned_and_used(root, trained, tmp_path, capsys):
    encoder = root / "encoder.pt"
    assert convert(["from-mnmt", str(trained), str(encoder)]) == 0
    labelled = tmp_path / "treebank"
    labelled.mkdir()
    for split, count in (("train", 40), ("valid", 10)):
        lines = sentences(count, f"{split}pos")
        tags, rest = {True: "NOUN", False: "VERB"}, "\t_\t_\t0\t_\t_\t_\n"
        rows = ["".join(f"{i}\t{w}\t_\t{tags[w[0] in 'bd']}{rest}" for i, w in enumerate(s, 1)) for s in lines]
        (labelled / f"{split}.en.conllu").write_text("\n".join(rows) + "\n", "utf-8")
    assert preprocess(["benchmark", "pos", "--from", str(labelled), "--output", str(tmp_path / "POS")]) == 0
    (tmp_path / "begin").mkdir()
    shutil.copy(encoder, tmp_path / "begin" / "checkpoint_last.pt")
    said = capsys.readouterr().err.split("fine-tune it with ")[1].split(" --finetune-from-model")[0]
    assert said.startswith("--arch mmte_tiny_encoder --encoder-layers 1 ")
    run = finetune(tmp_path / "POS", tmp_path / "begin", tmp_path / "tagger", "tagging", 3, *said.split())
    assert run.status == 0, run.text[-3000:]
    assert run.checkpoint()["task_state"]["input"] == "eos"
    for name in ("en", "de"):
        write_lines(tmp_path / name, [spelled(words, name) for words in sentences(20, "retrieval")])
    sides = ["--source", f"en={tmp_path}/en", "--target", f"de={tmp_path}/de", "--json"]
    assert evaluate(["retrieve", "--checkpoint", str(encoder), *sides]) == 0
    model, _, state = read_encoder(encoder)
    assert state["converted"]["command"] == "from-mnmt" and model.config.vocab_size == state["encoder"]["vocab_size"]
