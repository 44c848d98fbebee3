"""Wrong data and settings stop training before the first update, with a line that says what to do."""

import json
import shutil

import numpy as np
import pytest
import torch

from fairseq_xalign.data.mmap import MappedTokens, Writer
from fairseq_xalign.errors import UserError
from tests.support.running import CRITERIONS, OPTIONS, pretrain


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


def damaged(folder):
    """The same sizes, but ids that no vocabulary has, in the middle of the training text."""
    file = next((folder / "mono").glob("train.en*.bin"))
    ids = np.fromfile(file, dtype=np.uint16)
    ids[len(ids) // 2 :] = 60_000
    ids.tofile(file)


def only_alike(folder):
    """A dictionary whose every entry is the same piece on both sides."""
    file = next((folder / "dictionary").glob("*.tsv"))
    header, *rows = file.read_text("utf-8").splitlines()
    alike = [f"{row.split(chr(9))[0]}\t{row.split(chr(9))[0]}\t1" for row in rows]
    file.write_text("\n".join([header, *alike]) + "\n", "utf-8")
    size = file.stat().st_size
    edit_manifest(folder, lambda m: [s["files"].update({f"dictionary/{file.name}": {"size": size, "sha256": None}})
                                     for s in m["streams"] if s["kind"] == "dictionary"])  # fmt: skip


def prepare(data, *options):
    """What ``fairseq-train`` does before the first update, in this process: the task, ready to train."""
    from fairseq import tasks

    from fairseq_xalign import compat
    from tests.support.quick_hydra import compose

    compat.register()
    cfg = compose(data, *OPTIONS, "--save-dir", data / "none", *options)
    task = tasks.setup_task(cfg.task)
    task.build_model(cfg.model)
    task.build_criterion(cfg.criterion)
    d = cfg.dataset
    for split in (d.valid_subset, d.train_subset):
        task.load_dataset(split, epoch=1)  # as fairseq-train does
    train = task.datasets[d.train_subset]
    task.get_batch_iterator(train, d.max_tokens, num_workers=d.num_workers, update_epoch_batch_itr=True)
    task.get_batch_iterator(task.datasets[d.valid_subset], d.max_tokens_valid)
    return task


XALIGN = ["--criterion", "xalign", "--objectives"]


@pytest.mark.parametrize(
    ("spoil", "options", "said"),
    [
        (nothing, ["--dictionary-sample", "-5"], "--dictionary-sample -5 is too small. Choose 0 or more"),
        (nothing, ["--mask-prob", "0"], "--mask-prob 0 hides nothing.*Choose more than 0, at most 1"),
        (nothing, [*XALIGN, "mlm:0"], "--objectives mlm:0: every weight is 0"),
        (nothing, ["--encoder-layers", "0"], "--encoder-layers 0 is too small. Choose 1 or more"),
        (nothing, ["--window-size", "0"], "--window-size 0 is too small. Choose 1 or more"),
        (nothing, ["--updates-per-epoch", "0"], "--updates-per-epoch 0 is too small. Choose 1 or more"),
        (nothing, ["--updates-per-epoch", "-1"], "--updates-per-epoch -1 is too small"),
        (nothing, ["--criterion", "align_mlm", "--align-weight", "nan"], "--align-weight nan is too small"),
        (nothing, ["--alignment-queries", "-3"], "--alignment-queries -3 is too small. Choose 0 or more"),
        (nothing, ["--update-freq", "4,0"], "--update-freq 0 is too small. Choose 1 or more"),
        (nothing, ["--max-tokens", "0"], "--max-tokens 0 is too small"),
        (nothing, ["--num-workers", "-1"], "--num-workers -1 is too small. Choose 0 or more"),
        (nothing, ["--max-tokens-valid", "8"], "does not fit into --max-tokens-valid 8. Raise --max-tokens-valid"),
        (nothing, ["--dropout", "2"], "--dropout is 2.0. Choose 0 <= p < 1"),
        (
            nothing,
            ["--encoder-attention-heads", "5"],
            "--encoder-embed-dim is 32, not a multiple of --encoder-attention-heads 5",
        ),
        (
            nothing,
            ["--criterion", "masked_lm"],
            "--criterion masked_lm does not work with --task align_mlm. Choose from align_mlm, dict_mlm, mlm, ppa, ",
        ),
        (nothing, ["--arch", "roberta_base"], "--arch roberta_base does not work with --task align_mlm. Choose from "),
        (nothing, ["--criterion", "xling"], "--criterion xling does not work with --task align_mlm"),
        (nothing, [*XALIGN, "align"], "--objectives align reads no text.*--objectives mlm,align"),
        (
            nothing,
            ["--languages", "en"],
            "no dictionary between the languages trained on \\(en\\). It has en-xx: change --languages, or make one",
        ),
        (only_alike, [], "every entry of the dictionaries is the same piece on both sides.*xalign-preprocess dict"),
        (
            without("mono"),
            [*XALIGN, "tlm", "--languages", "en"],
            "nothing to read for split 'valid' in languages en. It has bitext train en-xx, .*--valid-subset",
        ),
        (damaged, ["--unigram-bias"], "mono/en is damaged: .*Run `xalign-preprocess check .*DATA`"),
        (nothing, ["--best-checkpoint-metric", "accuracy"], "--best-checkpoint-metric accuracy: no such figure is .*"
         "Known: loss, token_loss, ppl, mlm_loss, mlm_ppl, loss_en, ppl_en, loss_xx, ppl_xx, align_cosine, alignment"),
        (nothing, ["--best-checkpoint-metric", "losss"], "Did you mean 'loss'"),
        (
            nothing,
            ["--best-checkpoint-metric", "alignment", "--alignment-queries", "0"],
            "--best-checkpoint-metric alignment: no such figure is measured on 'valid'",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_the_first_update(data, tmp_path, spoil, options, said):
    folder = copy_of(data, tmp_path)
    spoil(folder)
    with pytest.raises(UserError, match=said):
        prepare(folder, *CRITERIONS["align_mlm"], *options)


def test_blanks_and_repetitions_in_lists_of_names_change_nothing(data):
    task = prepare(data, *CRITERIONS["mlm"], "--languages", "xx, en, xx", "--sampling-weights", "en: 2, xx:1")
    assert task.trained == ["xx", "en"]
    assert task.shares(task.datasets["train"].streams).tolist() == pytest.approx([1 / 3, 2 / 3])


BOOKKEEPING = {"epoch", "valid_wpb", "valid_bsz", "valid_num_updates", "valid_best_loss"}


@pytest.mark.parametrize("criterion", CRITERIONS)
def test_what_may_be_the_best_checkpoint_metric_is_what_validation_measures(data, tmp_path, criterion):
    run = pretrain(data, tmp_path, criterion, 1)
    assert run.status == 0, run.text[-1500:]
    logged = {name for name in run.records("valid")[-1] if not name.endswith("_count")} - BOOKKEEPING
    task = prepare(data, *CRITERIONS[criterion])
    names = task.validation_metrics(task.datasets["valid"].streams)
    assert {f"valid_{name}" for name in names} == logged and len(names) == len(set(names))


@pytest.mark.parametrize("options", [[], ["--num-workers", "2"]], ids=["in this process", "in loader processes"])
def test_damaged_ids_are_one_line_that_names_the_stream_and_the_check(data, tmp_path, options):
    folder = copy_of(data, tmp_path)
    damaged(folder)
    run = pretrain(folder, tmp_path / "run", "mlm", 60, *options)
    last = run.text.rstrip().splitlines()[-1]
    assert run.status == 1 and "mono/en is damaged" in last and f"`xalign-preprocess check {folder}`" in last, last
    assert "Traceback" not in run.text and "worker process" not in run.text


def test_a_file_as_save_dir_and_a_batch_without_limit_are_one_line(data, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine", "utf-8")
    run = pretrain(data, tmp_path / "first", "mlm", 1, "--save-dir", tmp_path / "file")
    assert run.status == 1 and "Choose another --save-dir" in run.text.rstrip().splitlines()[-1]
    assert "Traceback" not in run.text and (tmp_path / "file").read_text("utf-8") == "mine"
    at = OPTIONS.index("--max-tokens")
    monkeypatch.setattr("tests.support.running.OPTIONS", [*OPTIONS[:at], *OPTIONS[at + 2 :]])
    run = pretrain(data, tmp_path / "second", "mlm", 1)
    assert run.status == 1 and "Give --max-tokens or --batch-size" in run.text.rstrip().splitlines()[-1]
    assert "Traceback" not in run.text


@pytest.mark.parametrize(
    ("spoil", "criterion", "options", "said"),
    [
        (newer, "mlm", [], ["99"]),
        (truncated, "mlm", [], ["train.en", "Binarize"]),
        (without("dictionary"), "align_mlm", [], ["dictionary"]),
        (without("bitext"), "xlm", [], ["bitext"]),
        (without("mono"), "mlm", [], ["mono"]),
        (nothing, "mlm", ["--languages", "en,fr"], ["'fr'", "en, xx"]),
        (nothing, "xalign", ["--objectives", "mlm,aling"], ["Did you mean 'align'"]),
        (nothing, "mlm", ["--criterion", "xlm"], ["--language-embeddings"]),
        (nothing, "tlm", ["--tokens-per-sample", "16"], ["no pair", "--tokens-per-sample 16"]),
        (nothing, "mlm", ["--max-tokens", "64"], ["--max-tokens 64"]),
        (nothing, "mlm", ["--sampling-temperature", "0"], ["temperature"]),
        (nothing, "mlm", ["--stream-weights", "text:1"], ["--stream-weights", "text"]),
        (nothing, "mlm", ["--encoder-attention-heads", "5"], ["heads"]),
        (nothing, "mlm", ["--bf16"], ["--autocast bf16"]),
        (nothing, "mlm", ["--mask-prob", "2"], ["--mask-prob 2", "from 0 to 1"]),
        (nothing, "mlm", ["--random-token-prob", "0.95"], ["must not exceed 1"]),
        (
            nothing,
            "mlm",
            ["--valid-subset", "dev"],
            ["'dev' is not a name of a split", "has train, valid", "--valid-s"],
        ),
        (nothing, "align_mlm", ["--language-embeddings"], ["no language embeddings in its paper", "mlm:1,align:10"]),
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


def test_a_folder_without_a_checkpoint_is_refused_before_it_trains_from_random_weights(data, tmp_path):
    (tmp_path / "pretrained").mkdir()
    for option in ("--finetune-from-model", "--restore-file", "--continue-once"):
        run = pretrain(data, tmp_path / "run", "mlm", 3, option, tmp_path / "pretrained")
        assert run.status == 1 and "pretrained: no checkpoint in this folder" in run.text.splitlines()[-1], run.text
    run = pretrain(data, tmp_path / "run", "mlm", 3, "--restore-file", tmp_path / "no.pt")
    assert run.status == 1 and "no.pt: --restore-file: no such file" in run.text.splitlines()[-1]


@pytest.mark.parametrize("spoil", ["cut short", "empty", "text"])
def test_a_damaged_checkpoint_is_one_line(data, tmp_path, spoil):
    assert pretrain(data, tmp_path / "run", "mlm", 1).status == 0
    file = tmp_path / "run" / "checkpoints" / "checkpoint_last.pt"
    contents = {"cut short": file.read_bytes()[:-1000], "empty": b"", "text": b"not a checkpoint"}[spoil]
    file.write_bytes(contents)
    run = pretrain(data, tmp_path / "run", "mlm", 2)
    assert run.status == 1 and "Traceback" not in run.text
    assert f"{file}: cannot be read as a checkpoint ({len(contents):,} bytes)" in run.text.splitlines()[-1]


def test_language_embeddings_that_the_checkpoint_lacks_are_refused_when_its_training_goes_on(data, tmp_path):
    assert pretrain(data, tmp_path / "first", "mlm", 1).status == 0
    run = pretrain(data, tmp_path / "first", "xlm", 2)
    assert run.status == 1 and "--language-embeddings: the checkpoint has none" in run.text.splitlines()[-1]


def test_a_missing_folder_says_so(tmp_path):
    run = pretrain(tmp_path / "none", tmp_path / "run", "mlm", 3)
    assert run.status == 1 and str(tmp_path / "none") in run.text.splitlines()[-1]


def test_resuming_on_another_vocabulary_names_both(data, tmp_path):
    assert pretrain(data, tmp_path / "run", "mlm", 1).status == 0
    from tests.support.samples import sentences, subword_folder, write_lines
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
    last = run.text.rstrip().splitlines()[-1]
    assert run.status == 1 and "Traceback" not in run.text
    assert "the loss is not finite (mlm" in last and "align" in last and "mono/en numbers" in last
    assert not (run.save_dir / "checkpoint_last.pt").exists()
