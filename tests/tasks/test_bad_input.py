"""Wrong data and settings stop training before the first update, with a line that says what to do."""

import json
import shutil

import numpy as np
import pytest
import torch

from fairseq_xalign.data.mmap import MappedTokens, Writer
from tests.tasks.running import pretrain


def copy_of(data, tmp_path):
    return shutil.copytree(data, tmp_path / "DATA")


def edit_manifest(folder, change):
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), "utf-8")


def newer(folder):
    edit_manifest(folder, lambda m: m.update(format=99))


def truncated(folder):
    file = next((folder / "mono").glob("train.en*.bin"))
    file.write_bytes(file.read_bytes()[:-100])


def without(kind):
    def drop(folder):
        edit_manifest(folder, lambda m: m.update(streams=[s for s in m["streams"] if s["kind"] != kind]))

    return drop


def nothing(folder):
    return None


@pytest.mark.parametrize(
    ("spoil", "criterion", "options", "said"),
    [
        (newer, "mlm", [], ["99"]),
        (truncated, "mlm", [], ["train.en", "Binarize"]),
        (without("dictionary"), "align_mlm", [], ["dictionary"]),
        (without("bitext"), "xlm", [], ["bitext"]),
        (without("mono"), "mlm", [], ["mono"]),
        (nothing, "mlm", ["--languages", "en,fr"], ["'fr'", "en, xx"]),
        (nothing, "xalign", ["--objectives", "mlm,aling"], ["did you mean 'align'"]),
        (nothing, "mlm", ["--criterion", "xlm"], ["--language-embeddings"]),
        (nothing, "tlm", ["--tokens-per-sample", "16"], ["no pair", "--tokens-per-sample 16"]),
        (nothing, "mlm", ["--max-tokens", "64"], ["--max-tokens 64"]),
        (nothing, "mlm", ["--sampling-temperature", "0"], ["temperature"]),
        (nothing, "mlm", ["--stream-weights", "text:1"], ["--stream-weights", "text"]),
        (nothing, "mlm", ["--encoder-attention-heads", "5"], ["heads"]),
        (nothing, "mlm", ["--bf16"], ["--autocast bf16"]),
        (nothing, "mlm", ["--mask-prob", "2"], ["--mask-prob 2", "from 0 to 1"]),
        (nothing, "mlm", ["--random-token-prob", "0.95"], ["must not exceed 1"]),
        (nothing, "mlm", ["--positions", "learned", "--max-positions", "64"], ["--tokens-per-sample 128", "64"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it_and_nothing_is_written(data, tmp_path, spoil, criterion, options, said):
    folder = copy_of(data, tmp_path)
    spoil(folder)
    run = pretrain(folder, tmp_path / "run", criterion, 3, *options)
    assert run.status == 1
    last = run.text.rstrip().splitlines()[-1]
    assert all(word in last for word in said), run.text[-1500:]
    assert "Traceback" not in run.text and not list(run.save_dir.glob("*.pt"))


def test_a_folder_instead_of_a_checkpoint_is_refused_before_it_trains_from_random_weights(data, tmp_path):
    (tmp_path / "pretrained").mkdir()
    run = pretrain(data, tmp_path / "run", "mlm", 3, "--finetune-from-model", tmp_path / "pretrained")
    assert run.status == 1 and "--finetune-from-model names a folder" in run.text.splitlines()[-1]
    run = pretrain(data, tmp_path / "run", "mlm", 3, "--restore-file", tmp_path / "no.pt")
    assert run.status == 1 and "--restore-file names no file" in run.text.splitlines()[-1]


def test_language_embeddings_that_the_checkpoint_lacks_are_refused(data, tmp_path):
    assert pretrain(data, tmp_path / "first", "mlm", 1).status == 0
    start = tmp_path / "first" / "checkpoints" / "checkpoint_last.pt"
    run = pretrain(data, tmp_path / "run", "xlm", 2, "--finetune-from-model", start)
    assert run.status == 1 and "--language-embeddings: the checkpoint has none" in run.text.splitlines()[-1]


def test_a_missing_folder_says_so(tmp_path):
    run = pretrain(tmp_path / "none", tmp_path / "run", "mlm", 3)
    assert run.status == 1 and str(tmp_path / "none") in run.text.splitlines()[-1]


def test_resuming_on_another_vocabulary_names_both(data, tmp_path):
    assert pretrain(data, tmp_path / "run", "mlm", 1).status == 0
    from tests.data.samples import sentences, subword_folder, write_lines
    from tests.tasks.conftest import run as preprocess

    subword_folder(tmp_path / "sub")
    for split in ("train", "valid"):
        text = write_lines(tmp_path / f"{split}.en", sentences("en", 80))
        preprocess("binarize", "--subword", tmp_path / "sub", "--mono", f"en={text}", "--split", split, "--output",
                   tmp_path / "OTHER", "--workers", 1)  # fmt: skip
    run = pretrain(tmp_path / "OTHER", tmp_path / "run", "mlm", 2)
    last = run.text.rstrip().splitlines()[-1]
    assert run.status == 1 and "vocabulary" in last and "checkpoint_last.pt" in last


def test_a_change_that_moves_the_data_order_is_refused_on_resume(data, tmp_path):
    assert pretrain(data, tmp_path, "mlm", 2).status == 0
    run = pretrain(data, tmp_path, "mlm", 4, "--max-tokens", 1024)
    assert run.status == 1 and "--max-tokens was 512, is 1024" in run.text.splitlines()[-1]
    again = pretrain(data, tmp_path, "mlm", 4, "--max-tokens", 1024, "--reset-dataloader")
    assert again.status == 0
    other = pretrain(data, tmp_path, "align_mlm", 6, "--max-tokens", 1024)
    assert other.status == 1 and "was trained with MLMCriterion" in other.text.splitlines()[-1]


def test_resuming_on_other_text_is_refused(data, tmp_path):
    """As many sentences as before, each of them reversed."""
    assert pretrain(data, tmp_path, "mlm", 2).status == 0
    folder = copy_of(data, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    stream = next(s for s in manifest["streams"] if s["kind"] == "mono" and s["split"] == "train")
    prefix = next(name for name in stream["files"] if name.endswith(".bin")).removesuffix(".bin")
    sentences = [item[:-1][::-1].tolist() + item[-1:].tolist() for item in MappedTokens(folder / prefix)]
    with Writer(folder / prefix, np.uint16) as writer:
        for sentence in sentences:
            writer.write(sentence)
    stream["files"] = {f"{prefix}{part}": about for part, about in writer.files.items()}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    run = pretrain(folder, tmp_path, "mlm", 4)
    assert run.status == 1 and "the text was" in run.text.splitlines()[-1], run.text[-1500:]


def test_a_checkpoint_trains_on_in_its_own_languages_of_a_folder_with_more(data, tmp_path):
    options = ["--language-embeddings", "--languages", "en"]
    assert pretrain(data, tmp_path / "first", "mlm", 1, *options, "--save-dir", tmp_path / "en").status == 0
    start = tmp_path / "en" / "checkpoint_last.pt"
    state = torch.load(start, weights_only=True)
    encoder = state["task_state"]["encoder"] | {"n_languages": 1}
    rows = state["model"]["encoder.embed_languages.weight"][:2].clone()
    state["task_state"] |= {"languages": ["en"], "encoder": encoder}
    state["model"]["encoder.embed_languages.weight"] = rows
    torch.save(state, start)
    more = pretrain(data, tmp_path / "more", "mlm", 1, "--finetune-from-model", start)
    assert more.status == 1 and "Name the languages that it knows with --languages" in more.text.splitlines()[-1]
    run = pretrain(data, tmp_path / "run", "mlm", 1, "--finetune-from-model", start, "--languages", "en")
    assert run.status == 0, run.text[-1500:]


def test_a_non_finite_loss_names_the_sentences_and_every_objective_and_stops(data, tmp_path):
    run = pretrain(data, tmp_path, "align_mlm", 5, "--embedding-std", "1e38")
    assert run.status != 0
    assert "the loss is not finite (mlm" in run.text and "align" in run.text and "mono/en number" in run.text
    assert not (run.save_dir / "checkpoint_last.pt").exists()
