"""Every option that takes a checkpoint takes its folder, which stands for the best checkpoint, else the last."""

import re
import shutil

import pytest

from tests.support.running import finetune, pretrain, same_weights


@pytest.fixture(scope="module")
def two_updates(data, tmp_path_factory):
    """Folders with a best checkpoint of one update and a last one of two, and with the last one alone."""
    folder = tmp_path_factory.mktemp("two_updates")
    for updates in (1, 2):
        assert pretrain(data, folder, "mlm", updates, "--disable-validation").status == 0
        if updates == 1:
            shutil.copy(folder / "checkpoints" / "checkpoint_last.pt", folder / "one.pt")
    last = shutil.copytree(folder / "checkpoints", folder / "last")
    shutil.copy(folder / "one.pt", folder / "checkpoints" / "checkpoint_best.pt")
    return folder / "checkpoints", last


@pytest.mark.parametrize("option", ["--finetune-from-model", "--restore-file", "--continue-once"])
def test_a_folder_stands_for_its_best_checkpoint_else_its_last(data, tmp_path, two_updates, option):
    both, last = two_updates
    for folder, file in ((both, both / "checkpoint_best.pt"), (last, last / "checkpoint_last.pt")):
        runs = [
            pretrain(data, tmp_path / folder.name / str(i), "mlm", 3, option, one)
            for i, one in enumerate((file, folder))
        ]
        assert [run.status for run in runs] == [0, 0], runs[1].text[-2000:]
        assert runs[0].losses() == runs[1].losses() and same_weights(*runs)
        if option != "--finetune-from-model":
            assert len(runs[1].losses()) == 3 - (1 if folder is both else 2), "it went on from that checkpoint"


def test_a_folder_named_by_where_one_stands_is_not_taken_for_the_save_dir(data, tmp_path, two_updates, monkeypatch):
    monkeypatch.chdir(two_updates[1])
    run = pretrain(data, tmp_path, "mlm", 3, "--restore-file", ".")
    assert run.status == 0 and len(run.losses()) == 1, run.text[-2000:]


def test_fine_tuning_starts_from_a_folder(labelled, tmp_path, two_updates):
    run = finetune(labelled, two_updates[0], tmp_path, "tagging", 1, "--finetune-from-model", two_updates[0])
    assert run.status == 0 and "checkpoint_best.pt" in run.text, run.text[-2000:]


def test_a_run_on_shards_reads_all_of_them_and_goes_on_where_it_stopped(data, tmp_path):
    shutil.copytree(data, tmp_path / "again")
    shards = f"{data}:{tmp_path}/again"
    whole, cut = (tmp_path / name for name in ("whole", "cut"))
    runs = [pretrain(shards, whole, "mlm", 4), pretrain(shards, cut, "mlm", 2), pretrain(shards, cut, "mlm", 4)]
    assert [run.status for run in runs] == [0, 0, 0], runs[0].text[-2000:]
    assert same_weights(runs[0], runs[2]) and len(runs[2].losses()) == 2
    runs.append(pretrain(data, tmp_path / "one", "mlm", 1))
    both, alone = (int(re.search(r"train mono/en: (\d+) units", runs[n].text)[1]) for n in (0, 3))
    assert 2 * alone <= both <= 2 * alone + 1  # a block may begin in one and end in the other
    swapped = pretrain(f"{tmp_path}/again:{data}", cut, "mlm", 5)
    assert swapped.status == 0  # equal texts
