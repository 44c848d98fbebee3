"""The memory-mapped format: fairseq reads ours, ours reads fairseq's, and a damaged file is named."""

import gc
import mmap
import pickle
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data import mmap as module
from fairseq_xalign.data.mmap import MappedTokens, Writer, dtype_for
from fairseq_xalign.errors import UserError

SENTENCES = [[5, 6, 7, 2], [2], [60000, 2], [], [8] * 300 + [2]]


def write(prefix, sentences, dtype=np.uint16):
    with Writer(prefix, dtype) as writer:
        for sentence in sentences:
            writer.write(sentence)
    return writer


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size, dtype", [(100, np.uint16), (65499, np.uint16), (65500, np.int32), (250_000, np.int32)])
def test_the_type_changes_where_fairseqs_does(size, dtype):
    from fairseq.data.indexed_dataset import best_fitting_int_dtype

    assert dtype_for(size) == dtype
    assert (dtype_for(size).itemsize == 2) == (best_fitting_int_dtype(size) == np.uint16)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_fairseq_reads_what_we_write(tmp_path, dtype):
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    write(tmp_path / "train.en", SENTENCES, dtype)
    theirs = MMapIndexedDataset(str(tmp_path / "train.en"))
    assert theirs._index.dtype == dtype
    assert [item.tolist() for item in theirs] == SENTENCES
    assert theirs.sizes.tolist() == [len(sentence) for sentence in SENTENCES]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.int64])
def test_we_read_what_fairseq_writes_and_write_the_same_bytes(tmp_path, dtype):
    from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

    builder = MMapIndexedDatasetBuilder(str(tmp_path / "theirs.bin"), dtype=dtype)
    for sentence in SENTENCES:
        builder.add_item(torch.tensor(sentence, dtype=torch.int64))
    builder.finalize(str(tmp_path / "theirs.idx"))
    assert [item.tolist() for item in MappedTokens(tmp_path / "theirs")] == SENTENCES
    write(tmp_path / "ours", SENTENCES, dtype)
    for part in (".bin", ".idx"):
        assert (tmp_path / f"ours{part}").read_bytes() == (tmp_path / f"theirs{part}").read_bytes()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 65535), max_size=9), max_size=20),
    st.randoms(use_true_random=False),
    st.sampled_from([np.uint16, np.int32]),
)
def test_what_is_written_one_by_one_or_at_once_reads_back(tmp_path_factory, sentences, random, dtype):
    folder = tmp_path_factory.mktemp("mmap")
    write(folder / "a", sentences, dtype)
    with Writer(folder / "b", dtype) as writer:
        flat = np.array([i for s in sentences for i in s], dtype=np.int64)
        writer.write_many(flat, [len(s) for s in sentences])
    assert (writer.items, writer.tokens) == (len(sentences), len(flat))
    assert writer.longest == max(map(len, sentences), default=0)
    assert [(folder / f"a{p}").read_bytes() for p in (".bin", ".idx")] == [
        (folder / f"b{p}").read_bytes() for p in (".bin", ".idx")
    ]
    mapped = MappedTokens(folder / "a")
    assert [item.tolist() for item in mapped] == sentences
    assert mapped.tokens.tolist() == flat.tolist()
    assert np.asarray(mapped.starts).tolist() == [sum(map(len, sentences[:i])) for i in range(len(sentences))]
    indices = [random.randrange(len(sentences)) for _ in range(12)] if sentences else []
    gathered, lengths = mapped.gather(indices)
    assert gathered.dtype == np.int64
    assert gathered.tolist() == [i for index in indices for i in sentences[index]]
    assert lengths.tolist() == [len(sentences[index]) for index in indices]


def test_places_are_right_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    sentences = [[5] * (n % 7) for n in range(50)]
    write(tmp_path / "a", sentences)
    assert [item.tolist() for item in MappedTokens(tmp_path / "a")] == sentences


def test_the_writer_knows_sizes_and_checksums(tmp_path):
    from fairseq_xalign.files import sha256

    writer = write(tmp_path / "a", SENTENCES)
    for part, about in writer.files.items():
        path = tmp_path / f"a{part}"
        assert about == {"size": path.stat().st_size, "sha256": sha256(path)}


def test_items_are_found_by_number_from_either_end_and_pickled_by_name(tmp_path):
    write(tmp_path / "a", SENTENCES)
    mapped = pickle.loads(pickle.dumps(MappedTokens(tmp_path / "a")))
    assert mapped[0].tolist() == SENTENCES[0]
    assert mapped[-1].tolist() == SENTENCES[-1]
    with pytest.raises(IndexError):
        mapped[len(SENTENCES)]
    assert not mapped.tokens.flags.writeable


def test_ids_that_do_not_fit_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="70000"), Writer(tmp_path / "a", np.uint16) as writer:
        writer.write([5, 70000])
    with pytest.raises(ValueError, match="-1"), Writer(tmp_path / "a", np.int32) as writer:
        writer.write_many(np.array([1]), [-1, 2])
    assert leftovers(tmp_path) == []


def test_an_error_in_the_block_leaves_the_old_files(tmp_path):
    write(tmp_path / "a", SENTENCES)
    with pytest.raises(RuntimeError), Writer(tmp_path / "a", np.uint16) as writer:
        writer.write([9])
        raise RuntimeError
    assert len(MappedTokens(tmp_path / "a")) == len(SENTENCES)
    assert leftovers(tmp_path) == ["a.bin", "a.idx"]


@pytest.mark.parametrize(
    "part, keep, message",
    [
        (".bin", 0.5, "bytes long, but its index says"),
        (".bin", 0.0, "0 bytes long, but its index says"),
        (".idx", 0.5, "items need"),
        (".idx", 0.0, "only 0 bytes"),
    ],
)
def test_a_cut_file_is_named(tmp_path, part, keep, message):
    write(tmp_path / "a", SENTENCES)
    path = tmp_path / f"a{part}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(UserError, match=message) as caught:
        MappedTokens(tmp_path / "a")
    assert caught.value.where == path


@pytest.mark.parametrize(
    "place, byte, message", [(0, b"X", "not an index"), (9, b"\x02", "version 2"), (17, b"\x06", "type code 6")]
)
def test_a_foreign_index_is_refused(tmp_path, place, byte, message):
    write(tmp_path / "a", SENTENCES)
    raw = bytearray((tmp_path / "a.idx").read_bytes())
    raw[place : place + 1] = byte
    (tmp_path / "a.idx").write_bytes(raw)
    with pytest.raises(UserError, match=message):
        MappedTokens(tmp_path / "a")


@pytest.mark.parametrize("part", [".bin", ".idx"])
def test_a_missing_file_is_named(tmp_path, part):
    write(tmp_path / "a", SENTENCES)
    (tmp_path / f"a{part}").unlink()
    with pytest.raises(UserError, match="no such file") as caught:
        MappedTokens(tmp_path / "a")
    assert str(caught.value.where).endswith(part)


def test_a_disk_that_refuses_is_one_error_and_leaves_nothing(tmp_path):
    program = f"""
        import resource, numpy as np
        from fairseq_xalign.data.mmap import Writer
        from fairseq_xalign.errors import UserError
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
        try:
            with Writer({str(tmp_path / "a")!r}, np.uint16) as writer:
                for _ in range(100):
                    writer.write_many(np.full(60_000, 5), [60_000])
        except UserError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "a.bin: cannot write: File too large" in done.stdout
    assert leftovers(tmp_path) == []


def test_memory_does_not_grow_with_what_is_written_or_opened(tmp_path):
    program = f"""
        import resource, sys, numpy as np
        from fairseq_xalign.data.mmap import MappedTokens, Writer
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        flat, lengths = np.full(400_000, 5, dtype=np.uint16), np.full(200_000, 2)
        def write(rounds):
            with Writer({str(tmp_path / "a")!r}, np.uint16) as writer:
                for _ in range(rounds): writer.write_many(flat, lengths)
        write(10); before = peak()
        write(60); MappedTokens({str(tmp_path / "a")!r})[11_999_999]
        print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    # 60 rounds are 12 million items: 144 MB of index and 48 MB of ids.
    assert int(done.stdout) < 20_000, "kilobytes more for six times the items"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_mapped_file_is_not_kept_open_and_is_unmapped_when_nothing_refers_to_it(tmp_path):
    def handles():
        return len(list(Path("/proc/self/fd").iterdir()))

    def maps():
        return Path("/proc/self/maps").read_text().count(str(tmp_path))

    for n in range(40):
        write(tmp_path / f"{n}", SENTENCES)
    before = handles()
    mapped = [MappedTokens(tmp_path / f"{n}") for n in range(40)]
    for each in mapped:
        each.expect_random_reading()
    assert handles() == before and maps() == 80
    (sizes, last) = mapped[0].sizes, mapped[0].tokens[-1:]
    del mapped, each
    gc.collect()
    assert maps() == 2  # of the arrays that are still there
    assert sizes.tolist() == [len(sentence) for sentence in SENTENCES] and last.tolist() == [2]
    with pytest.raises(ValueError):
        sizes[0] = 1


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM") or not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_reading_an_index_at_random_maps_few_pages_beside_those_read(tmp_path):
    """A hole of 200 million lengths stands for an index that does not fit into memory."""
    items = 50_000_000
    with open(tmp_path / "a.idx", "wb") as out:
        out.write(module.HEADER.pack(module.MAGIC, module.VERSION, 8, items))
        out.truncate(module.HEADER.size + 12 * items)
    (tmp_path / "a.bin").write_bytes(b"")
    mapped = MappedTokens(tmp_path / "a")
    mapped.expect_random_reading()
    mapped.expect_random_reading()
    before = int(Path("/proc/self/statm").read_text().split()[1])
    assert not mapped.sizes[np.random.default_rng(1).integers(0, items, 1000)].any()
    pages = int(Path("/proc/self/statm").read_text().split()[1]) - before
    assert pages < 3000
