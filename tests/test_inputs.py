"""Inputs are read whatever they are: plain, compressed, or a pipe; what goes wrong names the input."""

import bz2
import gzip
import lzma
import os
import re
import subprocess
import sys
import threading
import types

import pytest

from fairseq_xalign import files, inputs
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

COMPRESS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}
TEXT = "\ufeffa\r\nb\u2028c\u0085d\n\ne"
LINES = [(1, "a"), (2, "b\u2028c\u0085d"), (3, ""), (4, "e")]


@pytest.fixture(autouse=True)
def no_copies():
    yield
    inputs.forget_copies()


def feed(path, content):
    """Make a pipe that someone writes ``content`` into."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
    writer.start()
    return writer


@pytest.mark.parametrize("kind", ["plain", *COMPRESS])
@pytest.mark.parametrize("name", ["text", "text.txt", "text.gz", "text.xz"])
def test_the_content_decides_how_a_file_is_read_not_its_name(tmp_path, kind, name):
    content = TEXT.encode()
    (tmp_path / name).write_bytes(COMPRESS.get(kind, bytes)(content))
    assert list(read_lines(tmp_path / name)) == LINES
    assert inputs.is_compressed(tmp_path / name) == (kind != "plain")


@pytest.mark.parametrize("kind", list(COMPRESS))
def test_several_members_are_one_text(tmp_path, kind):
    (tmp_path / "f").write_bytes(COMPRESS[kind](b"a\nb") + COMPRESS[kind](b"c\n"))
    assert [text for _, text in read_lines(tmp_path / "f")] == ["a", "bc"]


@pytest.mark.parametrize("kind", list(COMPRESS))
@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:40] + b"\0\1\2\3" * 5 + data[60:]])
def test_a_damaged_compressed_file_is_named(tmp_path, kind, damage):
    content = "".join(f"line {i * i}\n" for i in range(1000)).encode()
    (tmp_path / "f").write_bytes(damage(COMPRESS[kind](content)))
    with pytest.raises(UserError, match=f"f: damaged {kind} file: .*again"):
        list(read_lines(tmp_path / "f"))


def test_text_that_begins_like_a_compressed_file_is_text(tmp_path):
    (tmp_path / "f").write_bytes(b"BZh9 is no header\n")
    assert list(read_lines(tmp_path / "f")) == [(1, "BZh9 is no header")]


def test_an_empty_file_has_no_lines_compressed_or_not(tmp_path):
    for name, content in {"plain": b"", **{kind: compress(b"") for kind, compress in COMPRESS.items()}}.items():
        (tmp_path / name).write_bytes(content)
        assert list(read_lines(tmp_path / name)) == []


def test_an_archive_is_refused_with_the_way_to_unpack_it(tmp_path):
    (tmp_path / "f").write_bytes(b"PK\x03\x04" + b"x" * 50)
    with pytest.raises(UserError, match="f: is a zip archive. .*unzip -p"):
        list(read_lines(tmp_path / "f"))


def zstandard_frames(*contents):
    zstandard = pytest.importorskip("zstandard")
    return b"".join(zstandard.ZstdCompressor().compress(content) for content in contents)


def test_zstandard_is_read_where_a_library_is(tmp_path):
    (tmp_path / "f").write_bytes(zstandard_frames(TEXT.encode(), b"\nf" * 100_000))
    assert list(read_lines(tmp_path / "f"))[:4] == LINES
    assert len(list(read_lines(tmp_path / "f"))) == 100_004


def test_zstandard_that_is_cut_off_is_named(tmp_path):
    (tmp_path / "f").write_bytes(zstandard_frames("".join(map(str, range(9999))).encode())[:-20])
    with pytest.raises(UserError, match="f: damaged Zstandard file"):
        list(read_lines(tmp_path / "f"))


def test_zstandard_without_a_library_names_the_remedy(tmp_path, monkeypatch):
    for name in ("compression.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "f").write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" * 9)
    with pytest.raises(UserError, match="f: is compressed with Zstandard.*pip install zstandard.*zstd -d"):
        list(read_lines(tmp_path / "f"))


def test_frames_of_zstandard_are_read_one_after_the_other_and_an_open_one_is_an_error(tmp_path, monkeypatch):
    """Without the library: a decompressor that ends a frame at each ``;``."""

    class Frame:
        eof, unused_data = False, b""

        def decompress(self, data):
            found, end, self.unused_data = data.partition(b";")
            self.eof = bool(end)
            return found

    module = types.SimpleNamespace(ZstdDecompressor=lambda: types.SimpleNamespace(decompressobj=Frame))
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", module)
    magic = b"\x28\xb5\x2f\xfd"
    (tmp_path / "f").write_bytes(magic + b"a\nb;c\n;")
    with inputs.open_input(tmp_path / "f") as stream:
        assert stream.read() == magic + b"a\nbc\n"
    (tmp_path / "f").write_bytes(magic + b"a\nb;c\n")
    with (
        pytest.raises(UserError, match="damaged Zstandard file: it ends within"),
        inputs.open_input(tmp_path / "f") as s,
    ):
        s.read()


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", "UTF-16 -t UTF-8"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32 -t UTF-8"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_other_unicode_encodings_are_named(tmp_path, encoding, said, kind):
    content = "Grüße an alle.\r\nsecond\r\n".encode(encoding)
    (tmp_path / "f").write_bytes(COMPRESS.get(kind, bytes)(content))
    with pytest.raises(UserError, match=f"f:1: looks like {said[:6]}.*iconv -f {said}"):
        list(read_lines(tmp_path / "f"))


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"a\nb\0c\n", 2, "a NUL byte"),
        (b"a\n\xff\n", 2, "invalid UTF-8 at byte 0 of the line.*iconv"),
        (b"a\rb\rc\r", 1, r"end in \\r alone.*tr "),
    ],
)
@pytest.mark.parametrize("kind", ["plain", *COMPRESS])
def test_text_that_is_no_text_is_an_error_with_file_and_line(tmp_path, content, line, message, kind):
    (tmp_path / "f").write_bytes(COMPRESS.get(kind, bytes)(content))
    with pytest.raises(UserError, match=f"f:{line}: .*{message}"):
        list(read_lines(tmp_path / "f"))


def test_a_carriage_return_within_a_line_is_text(tmp_path):
    (tmp_path / "f").write_bytes(b"a\rb\nc\rd")
    assert [text for _, text in read_lines(tmp_path / "f")] == ["a\rb", "c\rd"]


@pytest.mark.parametrize("kind", ["plain", *COMPRESS])
def test_a_pipe_is_read_as_often_as_needed_and_leaves_nothing(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(inputs.tempfile, "tempdir", str(tmp_path))
    writer = feed(tmp_path / "pipe", COMPRESS.get(kind, bytes)(TEXT.encode()))
    assert list(read_lines(tmp_path / "pipe")) == list(read_lines(tmp_path / "pipe")) == LINES
    assert files.sha256(tmp_path / "pipe") == files.sha256(tmp_path / "pipe")
    writer.join()
    inputs.forget_copies()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_is_an_input(name):
    code = f"from fairseq_xalign.files import read_lines; print([*read_lines({name!r})], [*read_lines({name!r})])"
    done = subprocess.run([sys.executable, "-c", code], input=TEXT.encode(), capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"{LINES} {LINES}"


def test_what_cannot_be_opened_is_named(tmp_path):
    for path, message in ((tmp_path / "none", "No such file"), (tmp_path, "is a folder, not a file")):
        with pytest.raises(UserError, match=re.escape(f"{path}: ") + message):
            list(read_lines(path))


def test_a_copy_that_does_not_fit_blames_the_input_and_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs.tempfile, "tempdir", str(tmp_path / "none"))
    writer = feed(tmp_path / "pipe", b"a\n")
    with pytest.raises(UserError, match="pipe: cannot be copied to a temporary file: .*TMPDIR"):
        list(read_lines(tmp_path / "pipe"))
    writer.join()
