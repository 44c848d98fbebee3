"""Pre-training under fairseq: every criterion learns, resumes bit for bit, and ignores how work is dealt out."""

import json
import re
import shutil
import signal

import pytest
import torch

from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.files import sha256
from fairseq_xalign.objectives.align import alignment_loss
from fairseq_xalign.tasks.alignment import measured_alignment, scored_pairs
from fairseq_xalign.tasks.resources import FolderResources
from tests.support.running import CRITERIONS, Run, pretrain, pretrain_two_workers, same_optimizer, same_weights, start
from tests.support.small_tokenizers import small
from tests.support.trainings import wait

SAVED, KILLED, END = 4, 5, 9


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    """One whole run per criterion, made when first asked for."""
    runs = {}

    def get(criterion):
        if criterion not in runs:
            folder = tmp_path_factory.mktemp(f"whole_{criterion}")
            runs[criterion] = pretrain(data, folder, criterion, END, "--updates-per-epoch", 6)
            assert runs[criterion].status == 0, runs[criterion].text[-3000:]
        return runs[criterion]

    return get


@pytest.mark.parametrize("criterion", CRITERIONS)
def test_a_killed_and_resumed_run_equals_one_that_never_stopped_bit_for_bit(data, tmp_path, uninterrupted, criterion):
    whole = uninterrupted(criterion)
    options = ["--updates-per-epoch", 6, "--save-interval-updates", SAVED, "--keep-interval-updates", 1]
    killed = start(data, tmp_path, criterion, END, *options, kill_at=KILLED)
    assert wait(killed, 120) == -signal.SIGKILL
    first = Run(-signal.SIGKILL, tmp_path / "log.0", tmp_path / "checkpoints")
    second = pretrain(data, tmp_path, criterion, END, "--updates-per-epoch", 6)
    assert second.status == 0, second.text[-3000:]
    assert first.losses()[:SAVED] + second.losses() == whole.losses()
    assert same_weights(second, whole) and same_optimizer(second, whole)


# Golden curves: losses (base 2) of the first nine updates. They change only when the mathematics, the data
# order or the masks do, and then on purpose. Tolerance: other processors sum in other orders.
GOLDEN = {
    "mlm": [9.786, 9.781, 9.761, 9.521, 9.486, 9.464, 9.535, 9.238, 9.54],
    "tlm": [9.834, 9.702, 9.597, 9.676, 9.559, 9.577, 9.625, 9.459, 9.742],
    "xlm": [9.982, 9.849, 9.776, 9.349, 9.692, 9.409, 9.398, 9.124, 9.152],
    "dict_mlm": [10.027, 9.561, 9.288, 9.379, 9.248, 8.972, 8.9, 8.824, 9.095],
    "align_mlm": [9.465, 7.194, 5.107, 2.926, 1.243, -0.258, -1.347, -2.693, -3.217],
    "xalign": [9.941, 9.411, 9.03, 8.655, 3.535, 8.28, 7.846, 7.488, 6.871],
}
TOLERANCE = 0.02


@pytest.mark.parametrize("criterion", GOLDEN)
def test_loss_curves_stay_as_they_were(uninterrupted, criterion):
    assert uninterrupted(criterion).losses() == pytest.approx(GOLDEN[criterion], abs=TOLERANCE)


def test_two_workers_equal_one_with_twice_the_micro_batches(data, tmp_path):
    """1 worker x 4, 2 x 2: the same four micro-batches, for a mixture, with dropout too."""
    one = pretrain(data, tmp_path / "one", "xalign", 4, "--update-freq", 4, "--dropout", "0.1")
    two = pretrain_two_workers(data, tmp_path / "two", "xalign", 4, "--update-freq", 2, "--dropout", "0.1")
    assert one.status == 0 and [r.status for r in two] == [0, 0], two[0].text[-3000:]
    assert two[0].losses() == pytest.approx(one.losses(), abs=2e-3)
    assert same_weights(one, two[0], tolerance=1e-4)


def test_two_workers_resume_on_one_in_the_middle_of_an_epoch(data, tmp_path):
    whole = pretrain(data, tmp_path / "whole", "align_mlm", 6, "--update-freq", 2, "--updates-per-epoch", 10)
    first = pretrain_two_workers(data, tmp_path / "split", "align_mlm", 3, "--updates-per-epoch", 10)
    assert [r.status for r in first] == [0, 0], first[1].text[-3000:]
    second = pretrain(data, tmp_path / "split", "align_mlm", 6, "--update-freq", 2, "--updates-per-epoch", 10)
    assert second.status == 0, second.text[-3000:]
    assert first[0].losses() + second.losses() == pytest.approx(whole.losses(), abs=2e-3)
    resumed = pretrain_two_workers(data, tmp_path / "split", "align_mlm", 8, "--updates-per-epoch", 10)
    assert [r.status for r in resumed] == [0, 0], resumed[1].text[-3000:]


def test_bf16_learns_and_stays_close_to_float32(data, tmp_path, uninterrupted):
    run = pretrain(data, tmp_path, "align_mlm", END, "--updates-per-epoch", 6, "--autocast", "bf16")
    assert run.status == 0, run.text[-3000:]
    assert run.losses() == pytest.approx(uninterrupted("align_mlm").losses(), abs=0.3)
    assert run.losses() != uninterrupted("align_mlm").losses()


def test_loader_processes_do_not_change_training(data, tmp_path, uninterrupted):
    run = pretrain(data, tmp_path, "mlm", END, "--updates-per-epoch", 6, "--num-workers", 2)
    assert run.status == 0 and same_weights(run, uninterrupted("mlm"))


def test_the_plain_attention_path_trains_the_same(data, tmp_path, uninterrupted):
    run = pretrain(data, tmp_path, "mlm", END, "--updates-per-epoch", 6, "--attention-kernel", "plain")
    assert run.losses() == pytest.approx(uninterrupted("mlm").losses(), abs=2e-3)


def test_logs_tell_each_objective_each_language_and_the_wait(uninterrupted):
    run = uninterrupted("xalign")
    inner = run.records("train_inner")[-1]
    assert {"mlm_loss", "mlm_ppl", "mlm_count", "tlm_loss", "align_cosine", "data_wait", "wps"} <= inner.keys()
    valid = run.records("valid")[-1]
    assert {"valid_loss_en", "valid_loss_xx", "valid_ppl_en", "valid_alignment", "valid_tlm_loss"} <= valid.keys()
    assert 0 <= float(inner["data_wait"]) <= 1
    # perplexity is the tokens' alone: alpha times a cosine is no part of it
    assert float(inner["ppl"]) == pytest.approx(2 ** float(inner["token_loss"]), rel=0.01)


def test_validation_perplexity_is_weighted_by_tokens(uninterrupted):
    valid = uninterrupted("mlm").records("valid")[-1]
    en, xx, both = (float(valid[f"valid_loss{name}"]) for name in ("_en", "_xx", ""))
    assert min(en, xx) <= both <= max(en, xx)


def test_a_checkpoint_holds_what_using_it_takes(uninterrupted):
    from fairseq_xalign.models.checkpoint import read_encoder

    encoder, tokenizer, state = read_encoder(uninterrupted("xlm").save_dir)
    assert state["languages"] == ["en", "xx"] and encoder.config.n_languages == 2
    assert len(tokenizer) == encoder.config.vocab_size == 5 + 2 * tokenizer.pieces


def test_updates_per_epoch_and_the_default_epoch(uninterrupted, data, tmp_path):
    assert [r["epoch"] for r in uninterrupted("mlm").records("train_inner")] == [1] * 6 + [2] * 3
    default = pretrain(data, tmp_path, "mlm", 3)
    grouped = int(re.search(r"grouped total_num_itrs = (\d+)", default.text)[1])
    assert 20 < grouped < 400


@pytest.mark.parametrize("options", [["--patience", 1, "--lr", "1e-9"], ["--best-checkpoint-metric", "alignment",
                                     "--maximize-best-checkpoint-metric"]])  # fmt: skip
def test_early_stopping_and_selection_by_any_metric(data, tmp_path, options):
    run = pretrain(data, tmp_path, "align_mlm", 40, "--updates-per-epoch", 2, *(
        [*options, "--max-epoch", 3] if "--patience" not in options else options))  # fmt: skip
    assert (run.save_dir / "checkpoint_best.pt").exists()
    if "--patience" in options:
        assert "early stop" in run.text and len(run.losses()) < 40


def test_validating_on_the_training_split_does_not_move_training(data, tmp_path, uninterrupted):
    run = pretrain(data, tmp_path, "mlm", 2, "--updates-per-epoch", 6, "--valid-subset", "valid,train")
    assert run.status == 0 and run.losses() == uninterrupted("mlm").losses()[:2]
    assert run.records("valid") and run.text.count("begin validation") == 2


def aligned(rows, tokenizer, dictionaries=()):
    """The alignment that validation logs for these embeddings."""
    return measured_alignment(rows, scored_pairs(tokenizer, dictionaries), 10_000)


@pytest.mark.parametrize(("overlap", "expected"), [(0.5, 100.0), (1.0, None)])
def test_shared_pieces_take_no_part_in_the_alignment_score(overlap, expected):
    tokenizer = small("trained").doubled(overlap, 1)
    rows = torch.randn(len(tokenizer), 16, generator=torch.Generator().manual_seed(1))
    natural, derived = tokenizer.natural_ids, tokenizer.derived_ids
    kept = set(tokenizer.derived["kept"])
    for i in range(len(natural)):
        if i not in kept:
            rows[derived.start + i] = rows[natural.start + i]
    assert aligned(rows, tokenizer) == expected


def test_any_translation_of_a_word_counts_as_aligned():
    """As in xalign-evaluate align; words of several pieces take part."""
    tokenizer = small("trained")
    rows = torch.randn(len(tokenizer), 16, generator=torch.Generator().manual_seed(1))
    rows[9], rows[10] = rows[6], rows[[7, 8]].mean(0)
    dictionary = Dictionary([[6], [6], [7, 8], [11]], [[12], [9], [10], [13]], [1.0] * 4)
    assert aligned(rows, tokenizer, [dictionary]) == pytest.approx(200 / 3)


def test_tensorboard_gets_the_figures(data, tmp_path):
    run = pretrain(data, tmp_path, "mlm", 2, "--tensorboard-logdir", tmp_path / "tb")
    assert list((tmp_path / "tb").rglob("events*")), run.text[-2000:]


def test_alignment_is_learned_from_the_dictionary_and_from_nothing_else(data, tmp_path):
    """Control: with a dictionary whose pairs are wrong, the right neighbours are not found."""
    right = pretrain(data, tmp_path / "right", "align_mlm", 60)
    wrong_data = shutil.copytree(data, tmp_path / "DATA")
    file = next((wrong_data / "dictionary").glob("*.tsv"))
    header, *rows = file.read_text("utf-8").splitlines()
    pairs = [row.split("\t") for row in rows]
    shifted = [f"{a[0]}\t{b[1]}\t{a[2]}" for a, b in zip(pairs, pairs[1:] + pairs[:1])]
    file.write_text("\n".join([header, *shifted]) + "\n", "utf-8")
    adopt_dictionary(wrong_data, file)
    wrong = pretrain(wrong_data, tmp_path / "wrong", "align_mlm", 60)
    assert wrong.status == 0, wrong.text[-2000:]
    without = pretrain(data, tmp_path / "without", "mlm", 60)
    found = [float(r.records("valid")[-1]["valid_alignment"]) for r in (right, wrong, without)]
    assert found[0] > 45, "half of the vocabulary is in the dictionary"
    assert found[1] < 5 and found[2] < 5


def adopt_dictionary(folder, file):
    """Let the manifest agree with an edited dictionary."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    for stream in manifest["streams"]:
        for name in stream["files"]:
            if (folder / name) == file:
                stream["files"][name] = {"size": file.stat().st_size, "sha256": sha256(file)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def test_a_pair_counts_once_in_the_loss_however_often_it_is_listed(tmp_path, caplog):
    tokenizer, embeddings = small("trained"), torch.randn(1000, 8, generator=torch.Generator().manual_seed(1))
    a, b, c, d = map(tokenizer.piece, (5, 6, 7, 8))
    header = '#xalign-dictionary\t{"source": "en", "target": "de"}'
    (tmp_path / "en-de").write_text("\n".join([header, *9 * [f"{a}\t{b}\t1"], f"{c}\t{d}\t1"]) + "\n", "utf-8")
    (tmp_path / "de-en").write_text("\n".join([header, f"{b}\t{a}\t1"]) + "\n", "utf-8")
    files = {("en", "de"): "en-de", ("de", "en"): "de-en"}
    dictionaries = {pair: Dictionary.load(tmp_path / name, tokenizer) for pair, name in files.items()}
    with caplog.at_level("INFO"):
        entries = FolderResources(None, tokenizer, "train", dictionaries, {}).entries
    cosines = torch.cosine_similarity(embeddings[[5, 7]], embeddings[[6, 8]])
    assert alignment_loss(embeddings, entries).item() == pytest.approx(-cosines.mean().item(), abs=1e-6)
    assert "dictionaries: 2 pairs; 9 repetitions left out" in caplog.text
