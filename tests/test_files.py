"""Files and folders appear whole or not at all, whatever moment a process is killed at."""

import os
import signal

import pytest

from fairseq_xalign import files
from fairseq_xalign.errors import UserError


def fill(path, content):
    with files.atomic_folder(path) as folder:
        (folder / "a").write_text(content)
        (folder / "b").write_text(content)


def contents(path):
    return {file.name: file.read_text() for file in path.iterdir()}


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, monkeypatch, swaps):
    if not swaps:
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    fill(tmp_path / "folder", "old")
    (tmp_path / "folder" / "left-over").write_text("old")
    fill(tmp_path / "folder", "new")
    assert contents(tmp_path / "folder") == {"a": "new", "b": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_an_error_while_a_folder_is_filled_leaves_the_old_one(tmp_path):
    fill(tmp_path / "folder", "old")
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "folder") as folder:
        (folder / "a").write_text("new")
        raise RuntimeError
    assert contents(tmp_path / "folder") == {"a": "old", "b": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(("step", "expected"), [("exchange", "old"), ("rmtree", "new")])
def test_a_process_killed_while_it_replaces_a_folder_leaves_one_whole(tmp_path, step, expected):
    """Killed just before the two swap places, or just after."""
    fill(tmp_path / "folder", "old")
    child = os.fork()
    if child == 0:
        place = files if step == "exchange" else files.shutil
        setattr(place, step, lambda *names, **options: os.kill(os.getpid(), signal.SIGKILL))
        fill(tmp_path / "folder", "new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert contents(tmp_path / "folder") == {"a": expected, "b": expected}
    fill(tmp_path / "folder", "newer")
    assert contents(tmp_path / "folder") == {"a": "newer", "b": "newer"}


def test_two_paths_swap_places_in_one_step(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    if not files.exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot swap two paths")
    assert contents(tmp_path / "one") == {"file": "other"} and contents(tmp_path / "other") == {"file": "one"}
    assert not files.exchange(tmp_path / "one", tmp_path / "none")


def test_a_file_is_the_old_one_until_it_is_whole(tmp_path):
    path = tmp_path / "file"
    with files.atomic_file(path) as stream:
        stream.write("old\n")
    with pytest.raises(RuntimeError), files.atomic_file(path) as stream:
        stream.write("new")
        stream.flush()
        assert path.read_text() == "old\n"
        raise RuntimeError
    assert path.read_text() == "old\n" and [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_json_that_cannot_be_read_names_the_file_and_the_remedy(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match="not valid JSON") as caught:
        files.read_json(tmp_path / "file")
    assert caught.value.where == tmp_path / "file" and caught.value.remedy
