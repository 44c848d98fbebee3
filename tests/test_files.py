"""Files and folders appear whole or not at all, whatever moment a process is killed at."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_xalign import files
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main as evaluate
from preprocess.__main__ import main as preprocess


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
    assert len(list(tmp_path.iterdir())) == 2
    fill(tmp_path / "folder", "newer")
    assert contents(tmp_path / "folder") == {"a": "newer", "b": "newer"}
    assert [p.name for p in tmp_path.iterdir()] == ["folder"], "what the killed process left stays"


@pytest.mark.parametrize("name", ["output", "what [a-z]* matches?", "n" * 100])
def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path, name):
    for number in range(2):
        child = os.fork()
        if child == 0:
            with files.atomic_file(tmp_path / name) if number else files.atomic_folder(tmp_path / name) as made:
                if not number:
                    (made / "a").mkdir()
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        assert [p.suffix for p in tmp_path.iterdir()] == [".tmp"]
    with files.atomic_file(tmp_path / name) as stream:
        stream.write("whole")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_another_process_is_filling_stays(tmp_path):
    """Two processes write the same output at the same time: the last one to finish has it."""
    with files.atomic_file(tmp_path / "file") as stream, files.atomic_folder(tmp_path / "folder") as folder:
        child = os.fork()
        if child == 0:
            os.closerange(3, 256)  # what it inherits would hold the locks
            with files.atomic_file(tmp_path / "file") as other:
                other.write("first")
            fill(tmp_path / "folder", "first")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (tmp_path / "file").read_text() == "first" and contents(tmp_path / "folder")["a"] == "first"
        stream.write("last")
        (folder / "a").write_text("last")
    assert (tmp_path / "file").read_text() == "last" and contents(tmp_path / "folder") == {"a": "last"}
    assert {p.name for p in tmp_path.iterdir()} == {"file", "folder"}


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


# Permissions, links, and what is no regular file


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o077, 0o002, 0o027], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_new_files_and_folders_have_the_permissions_of_the_umask(tmp_path, umask):
    files.write_json(tmp_path / "made" / "file", {})
    fill(tmp_path / "folder", "new")
    assert permissions(tmp_path / "made" / "file") == 0o666 & ~umask
    assert permissions(tmp_path / "made") == permissions(tmp_path / "folder") == 0o777 & ~umask
    assert permissions(tmp_path / "folder" / "a") == 0o666 & ~umask


@pytest.mark.parametrize("swaps", [True, False])
def test_what_is_replaced_keeps_its_permissions(tmp_path, monkeypatch, swaps):
    if not swaps:
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    files.write_json(tmp_path / "file", 1)
    fill(tmp_path / "folder", "old")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "folder").chmod(0o750)
    files.write_json(tmp_path / "file", 2)
    fill(tmp_path / "folder", "new")
    assert permissions(tmp_path / "file") == 0o640 and permissions(tmp_path / "folder") == 0o750
    assert files.read_json(tmp_path / "file") == 2 and contents(tmp_path / "folder")["a"] == "new"


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path, exists):
    (tmp_path / "real").mkdir()
    (tmp_path / "home").mkdir()
    for name in ("file", "folder"):
        (tmp_path / "home" / name).symlink_to(f"../home/{name}.again")  # a link to a link, relative to its folder
        (tmp_path / "home" / f"{name}.again").symlink_to(tmp_path / "real" / name)
    if exists:
        files.write_json(tmp_path / "real" / "file", "old")
        fill(tmp_path / "real" / "folder", "old")
    files.write_json(tmp_path / "home" / "file", "new")
    fill(tmp_path / "home" / "folder", "new")
    assert all(path.is_symlink() for path in (tmp_path / "home").iterdir())
    assert files.read_json(tmp_path / "real" / "file") == "new"
    assert not (tmp_path / "real" / "folder").is_symlink() and contents(tmp_path / "real" / "folder")["a"] == "new"
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["file", "folder"]
    assert len(list((tmp_path / "home").iterdir())) == 4


def test_a_circle_of_links_is_named(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UserError, match="a: is a symbolic link that leads in a circle"):
        files.write_json(tmp_path / "a", 1)
    with pytest.raises(UserError, match="circle"):
        fill(tmp_path / "a", "x")


def test_a_folder_is_not_replaced_by_a_file_nor_a_file_by_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="folder: is a folder, not a file"):
        files.write_json(tmp_path / "folder", 1)
    with pytest.raises(UserError, match="file: is a file, not a folder"):
        fill(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "x" and (tmp_path / "folder").is_dir()


def reader_of(command, tmp_path):
    """A process whose standard input is a named pipe; returns the pipe and the process."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    return pipe, subprocess.Popen(f"{command} < {pipe}", shell=True, stdout=subprocess.PIPE)


@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_is_written_to(tmp_path, link):
    pipe, process = reader_of("cat", tmp_path)
    if link:
        (tmp_path / "link").symlink_to(pipe)
    files.write_json(tmp_path / "link" if link else pipe, {"a": "ü"})
    assert json.loads(process.communicate()[0]) == {"a": "ü"}
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to(tmp_path):
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_text("")
    except OSError:
        device = Path(os.devnull)
        if os.access("/dev", os.W_OK):
            pytest.skip("a failure would replace the system's own null device")
    files.write_json(device, 1)
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_full_device_is_an_error_about_the_output():
    with pytest.raises(UserError, match=r"/dev/full: cannot write: No space left"):
        files.write_json("/dev/full", 1)


def test_a_socket_is_written_to(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        files.write_json(path, 1)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(99) == b"1\n"
    with pytest.raises(UserError, match="s: cannot write: Connection refused"):
        files.write_json(path, 1)
    assert stat.S_ISSOCK(path.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_in_a_file_goes_on_where_it_was(tmp_path, name):
    """``--output /dev/stdout >> log``: neither is the log replaced, nor is what was printed lost."""
    log = tmp_path / "log"
    log.write_text("before\n")
    code = f"from fairseq_xalign.files import write_json; print('printed'); write_json({name!r}, 1); print('after')"
    with open(log, "a") as stream:
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True)
    assert log.read_text() == "before\nprinted\n1\nafter\n"


def test_an_error_of_reading_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"), files.atomic_file(tmp_path / "o") as stream:
        stream.write((tmp_path / "none").read_text())
    with pytest.raises(UserError, match="^[^ ]*none: No such file"), files.atomic_file(tmp_path / "o") as stream:
        stream.writelines(text for _, text in files.read_lines(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"file/out: cannot write: .*choose another place"):
        files.write_json(tmp_path / "file" / "out", 1)
    with pytest.raises(UserError, match=r"file/out: cannot write"):
        fill(tmp_path / "file" / "out", "x")


def test_a_disk_that_fills_up_is_an_error_about_the_output(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(UserError, match="o: cannot write: File too large"), files.atomic_file(tmp_path / "o") as s:
            for _ in range(1000):
                s.write("x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_that_the_system_takes_is_taken(tmp_path):
    files.write_json(tmp_path / ("n" * 255), 1)
    assert files.read_json(tmp_path / ("n" * 255)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "links --source en=a.en --target de=a.de --output a.de",
        "links --source en=a.en --target de=a.de --prepare a.en",
        "pairs --format wikimatrix --input a.en --source en --target de --output a",
        "bitext --source en=a.en --target de=a.de --subword sub --output a",
        "order --treebank a.en --output a.en",
        "dictionary --muse a.en --source en --target de --subword sub --output a.en",
        "derive --transform inv --format text --input a.en --output a.en",
    ],
)
def test_no_command_replaces_what_it_reads(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.en", "a.de"):
        Path(name).write_text("one two\nthree four\n", "utf-8")
    assert preprocess(command.split()) == 1
    assert "is read by this command, which would replace it" in capsys.readouterr().err
    assert {Path(name).read_text("utf-8") for name in ("a.en", "a.de")} == {"one two\nthree four\n"}


@pytest.mark.parametrize(
    "command", ["encode --checkpoint none --input a --output a", "predict --checkpoint none --text a --output a"]
)
def test_no_command_of_evaluation_replaces_what_it_reads(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("one two\n", "utf-8")
    assert evaluate(command.split()) == 1
    assert "is read by this command" in capsys.readouterr().err and Path("a").read_text("utf-8") == "one two\n"
