"""``xalign-preprocess subword``: what is sampled, what is trained, what is refused."""

import json
import os
import random
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer, reserved_symbol
from preprocess.__main__ import main
from preprocess.subword import make_subword
from preprocess.subword_models import train_sentencepiece
from preprocess.subword_sampling import Corpus, draw_lines, quotas, survey

ROOT = Path(__file__).parents[2]
TEXT = ROOT / "tests" / "data" / "text.en.txt"
LINES = TEXT.read_text(encoding="utf-8").splitlines()
SMALL = ["--vocab-size", "300", "--character-coverage", "0.9995"]
BYTES = ["--model-type", "bbpe"]


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def foreign_lines(count: int) -> list[str]:
    """Lines in a made-up language of Greek letters, of which English has none."""
    draw = random.Random(5)
    words = ["".join(draw.choices("αβγδελμνοπρστ", k=5)) for _ in range(40)]
    return [" ".join(draw.choices(words, k=12)) for _ in range(count)]


def numbered(folder: Path, count: int) -> Corpus:
    path = write(folder / f"{count}.txt", *map(str, range(count)))
    return survey({"xx": [path]}, seed=1)[0]


# Sampling


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [  # p_l for sizes 1e6, 1e4, 1e2 (MMTE, section 3), worked out by hand in float64
        (1, [0.9900009900, 0.0099000099, 0.0000990001]),
        (5, [0.6424272485, 0.2557548942, 0.1018178573]),
        (100, [0.3487962348, 0.3330978183, 0.3181059469]),
    ],
)
def test_languages_share_the_lines_by_temperature(temperature, expected):
    counts = quotas([1_000_000, 10_000, 100], temperature, 1_000_000)
    assert sum(counts) == 1_000_000
    assert [count / 1_000_000 for count in counts] == pytest.approx(expected, abs=1e-6)


def test_no_more_lines_are_drawn_than_the_languages_have_together():
    assert sum(quotas([70, 30], 1, 2_000_000)) == 100
    assert quotas([70, 30], 1, 2_000_000) == [70, 30]


def test_no_language_is_left_out():
    assert min(quotas([10**9, 1], 1, 100)) == 1


@pytest.mark.parametrize(("lines", "quota"), [(100, 40), (100, 100), (100, 250), (7, 1), (1, 5)])
def test_exactly_the_quota_is_drawn_and_lines_repeat_evenly(tmp_path, lines, quota):
    drawn = list(draw_lines(numbered(tmp_path, lines), quota, seed=3))
    assert len(drawn) == quota
    times = [drawn.count(str(i)) for i in range(lines)]
    assert {quota // lines, -(-quota // lines)} >= set(times)


def test_the_draw_is_uniform_and_depends_on_the_seed_alone(tmp_path):
    corpus = numbered(tmp_path, 40)
    draws = [list(draw_lines(corpus, 10, seed)) for seed in range(400)]
    assert draws[3] == list(draw_lines(corpus, 10, 3)) != draws[4]
    times = [sum(str(i) in draw for draw in draws) for i in range(40)]
    assert min(times) > 60 and max(times) < 145, "100 expected, standard deviation 8.7"


def test_the_report_sample_is_drawn_from_the_whole_file(tmp_path):
    corpus = numbered(tmp_path, 5000)
    assert len(set(corpus.sample)) == 1000
    assert 400 < sum(int(text) >= 2500 for text in corpus.sample) < 600


# Training


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_a_joint_vocabulary_is_trained_and_reported(tmp_path, capsys, model_type):
    greek = write(tmp_path / "el.txt", *foreign_lines(20), "", "  ")
    command = ["subword", "--input", f"en={TEXT}", "--input", f"el={greek}", *SMALL, "--language-tokens", "el,en"]
    command += ["--model-type", model_type, "--output", str(tmp_path / "out"), "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert tokenizer.pieces == report["pieces"] == 300
    assert len(tokenizer) == report["size"] == 5 + 300 + 2
    assert report["sha256"] == tokenizer.sha256
    assert tokenizer.languages == ["en", "el"] and tokenizer.symbols()[-2:] == ["<2el>", "<2en>"]
    english, other = report["languages"]
    assert (english["lines"], other["lines"], other["empty"]) == (300, 20, 2)
    assert english["drawn"] + other["drawn"] == 320 and other["drawn"] > 20, "the small language is repeated"
    # Fewer than 1,000 lines: the sample is the whole text, so the rates can be counted another way.
    ids = [i for line in LINES for i in tokenizer.encode(line)]
    letters = "".join(LINES).replace(" ", "")
    assert english["sample"] == 300
    assert english["unknown"] == pytest.approx(ids.count(3) / len(ids))
    assert english["pieces_per_word"] == pytest.approx(len(ids) / sum(len(line.split()) for line in LINES))
    assert english["coverage"] == pytest.approx(sum(tokenizer.encode(c)[-1] != 3 for c in letters) / len(letters))
    assert 0.999 < english["coverage"] < 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dict.txt", "spm.model", "subword.json"]


STUCK = """
import ctypes
def work(texts, **options):
    list(texts)
    while True:
        ctypes.PyDLL(None).sleep(600)  # as a library does: Python runs nothing meanwhile, no signal handler either
"""
WITH_STUCK = """
import sys, stuck
from preprocess import __main__, subword
subword.train_sentencepiece = subword.train_byte_level = stuck.work
sys.exit(__main__.main())
"""


@pytest.mark.parametrize("model_type", ["unigram", "bbpe"])
@pytest.mark.parametrize(("number", "status", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_signal_ends_training_at_once_and_leaves_no_output(tmp_path, model_type, number, status, word):
    options = ["--input", f"en={TEXT}", "--vocab-size", "300", "--model-type", model_type, "--output", tmp_path / "out"]
    (tmp_path / "library").mkdir()
    write(tmp_path / "library" / "stuck.py", STUCK)
    command = [sys.executable, "-c", WITH_STUCK, "subword", *options]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'library'}:{ROOT}"}
    settings = {"stderr": subprocess.PIPE, "text": True, "env": environment, "start_new_session": True}
    # Shells let what they start in the background ignore Ctrl-C, and that is inherited.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, preexec_fn=heeds, **settings) as process:
        try:
            assert process.stderr.readline().startswith("training 300 pieces on 300 lines")
            os.killpg(process.pid, getattr(signal, number))  # a terminal and a batch system tell all processes
            assert process.wait(60) == status
        finally:
            process.kill()
        assert process.stderr.read() == f"xalign-preprocess subword: {word}; no incomplete output was left behind\n"
    assert [path.name for path in tmp_path.iterdir()] == ["library"]


def test_the_printed_report_names_its_sample(tmp_path, capsys):
    assert main(["subword", "--input", f"en={TEXT}", *SMALL, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "305 ids = 5 special + 300 pieces" in printed.out and "drawn with seed 1" in printed.out
    assert "%" in printed.out and printed.err.startswith("training 300 pieces on 300 lines")


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path):
    def made(name: str, seed: int) -> Tokenizer:
        command = ["subword", "--input", f"en={TEXT}", *SMALL, "--sentences", "150", "--seed", str(seed)]
        assert main([*command, "--output", str(tmp_path / name)]) == 0
        return Tokenizer.load(tmp_path / name)

    first, again, other = made("a", 1), made("b", 1), made("c", 2)
    assert first.model_bytes == again.model_bytes and first.sha256 == again.sha256
    assert first.sha256 != other.sha256


def test_byte_level_bpe_is_trained_at_a_temperature_and_has_no_unknown_text(tmp_path, capsys):
    other = write(tmp_path / "xx.txt", *foreign_lines(40))
    command = ["subword", "--input", f"en={TEXT}", "--input", f"xx={other}", "--vocab-size", "600", *BYTES, "--json"]
    report = {}
    for name in ("one", "two"):
        assert main([*command, "--output", str(tmp_path / name)]) == 0
        report[name] = json.loads(capsys.readouterr().out)
    tokenizer = Tokenizer.load(tmp_path / "one")
    assert report["one"]["sha256"] == report["two"]["sha256"] == tokenizer.sha256
    assert (report["one"]["pieces"], report["one"]["kind"]) == (600, "tokenizers")
    drawn = {row["language"]: row["drawn"] for row in report["one"]["languages"]}
    assert drawn["xx"] > 40, "a small language is repeated"
    assert all(row["unknown"] == 0 and row["coverage"] == 1 for row in report["one"]["languages"])
    assert "character_coverage" not in tokenizer.options and tokenizer.options["model_type"] == "bbpe"


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_text_that_spells_symbols_is_known_text(tmp_path, capsys, model_type):
    text = write(tmp_path / "en.txt", *(f"<s>old price</s> new {x}" if i % 3 else x for i, x in enumerate(LINES)))
    command = ["subword", "--input", f"en={text}", "--vocab-size", "800", "--model-type", model_type, "--json"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    (row,) = json.loads(capsys.readouterr().out)["languages"]
    assert (row["unknown"], row["coverage"]) == (0, 1)


def test_a_vocabulary_is_made_from_python(tmp_path):
    report = make_subword(tmp_path / "out", inputs={"en": [TEXT]}, vocab_size=300, character_coverage=0.9995)
    assert report["pieces"] == 300 and report["languages"][0]["lines"] == len(LINES)
    assert Tokenizer.load(tmp_path / "out").sha256 == report["sha256"]
    with pytest.raises(UserError, match="there is no text to train on"):
        make_subword(tmp_path / "other", vocab_size=300)


def test_lines_longer_than_sentencepieces_default_limit_are_used(tmp_path):
    long_line = " ".join(foreign_lines(200))
    assert len(long_line.encode()) > 4192 * 2
    data = train_sentencepiece(iter([*LINES, long_line]), 400, "unigram", 1.0)
    assert Tokenizer.trained(data).encode("αβγ") != [3]
    assert 3 not in Tokenizer.trained(data).encode(long_line)


def test_files_of_one_language_are_read_one_after_the_other(tmp_path, capsys):
    half = [write(tmp_path / f"{i}.txt", *LINES[i::2]) for i in range(2)]
    command = ["subword", "--input", f"en={half[0]}", "--input", f"en={half[1]}", *SMALL, "--json"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    assert [row["lines"] for row in json.loads(capsys.readouterr().out)["languages"]] == [300]


def test_languages_that_may_be_one_and_files_that_count_twice_are_named(tmp_path, capsys):
    path = write(tmp_path / "en.txt", *LINES)
    inputs = [f"--input={name}={path}" for name in ("en", "EN")]
    assert main(["subword", *inputs, *SMALL, "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "en and EN are treated as two languages; if they are the same, use one spelling" in said
    assert f"{path} is named 2 times: its lines count as often" in said


def test_transliterated_lines_are_left_out_and_counted(tmp_path, capsys):
    path = write(tmp_path / "en.txt", *LINES, reserved_symbol(7), f"the {reserved_symbol(70000)}")
    assert main(["subword", "--input", f"en={path}", *SMALL, "--output", str(tmp_path / "out")]) == 0
    assert "left out: 2 lines" in capsys.readouterr().out


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_the_largest_possible_size_that_an_error_names_is_the_largest(model_type):
    with pytest.raises(UserError, match="too large for this text") as caught:
        train_sentencepiece(iter(LINES), 50_000, model_type, 0.9995)
    largest = int(str(caught.value).split("the largest possible is ")[1].split(".")[0])
    assert Tokenizer.trained(train_sentencepiece(iter(LINES), largest, model_type, 0.9995)).pieces == largest
    with pytest.raises(UserError, match=f"the largest possible is {largest}"):
        train_sentencepiece(iter(LINES), largest + 1, model_type, 0.9995)


def test_the_smallest_possible_size_that_an_error_names_is_possible():
    with pytest.raises(UserError, match="too small") as caught:
        train_sentencepiece(iter(LINES), 10, "unigram", 0.9995)
    smallest = int(str(caught.value).split("alone need ")[1].split(".")[0])
    assert Tokenizer.trained(train_sentencepiece(iter(LINES), smallest, "unigram", 0.9995)).pieces == smallest


# Adopting


def test_a_wordpiece_vocabulary_is_adopted(tmp_path, capsys):
    names = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "walk", "##ing"]
    path = write(tmp_path / "vocab.txt", *names)
    assert main(["subword", "--model", str(path), "--output", str(tmp_path / "out"), "--language-tokens", "de"]) == 0
    assert "10 ids = 5 special + 3 pieces + 1 language tokens + 1 that no text contains" in capsys.readouterr().out
    tokenizer = Tokenizer.load(tmp_path / "out")
    assert tokenizer.encode("The walking") == [5, 6, 7]
    assert tokenizer.to_foreign([5, 6, 7, 8, 9]) == [6, 7, 8, None, 1]
    assert main(["subword", "--model", str(path), "--output", str(tmp_path / "out"), "--lowercase", "no"]) == 0
    assert Tokenizer.load(tmp_path / "out").encode("The walking") == [3, 6, 7]


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "en.txt", *SMALL], "not of the form NAME=VALUE"),
        (["--input", "e n={en}", *SMALL], "--input 'e n' is not a language code"),
        (["--input", "en={folder}/none.txt", *SMALL], "none.txt: No such file"),
        (["--input", "en={en}"], "--vocab-size N"),
        (["--input", "en={en}", "--vocab-size", "-3"], "--vocab-size N"),
        (["--input", "en={en}", *SMALL, "--temperature", "0"], "--temperature 0.0 is not a positive number"),
        (
            ["--input", "en={en}", *SMALL, "--character-coverage", "2"],
            "--character-coverage 2.0 is out of range.",
        ),
        (["--input", "en={en}", *SMALL, "--sentences", "0"], "--sentences 0 is too small. Choose 1 or more"),
        (["--input", "en={en}", *SMALL, "--language-tokens", "de,de"], "names a language twice"),
        (["--input", "en={empty}", *SMALL], "empty.txt: no line has natural text"),
        (["--input", "en={latin}", *SMALL], "latin.txt:2: invalid UTF-8"),
        (["--input", "en={en}", "--vocab-size", "90000"], "the largest possible is"),
        (["--input", "en={en}", "--vocab-size", "0"], "from 1 to 10,000,000"),
        (["--input", "en={en}", "--vocab-size", "99999999999"], "from 1 to 10,000,000"),
        (
            ["--input", "en={en}", "--vocab-size", "20"],
            "--vocab-size 20 is too small: the text's",
        ),
        (["--input", "en={en}", *SMALL, "--temperature", "nan"], "--temperature nan is not a positive number"),
        (["--input", "en={en}", *SMALL, "--temperature", "inf"], "--temperature inf is not a positive number"),
        (["--input", "en={en}", *SMALL, "--character-coverage", "0.9"], "--character-coverage 0.9 is out of range"),
        (["--input", "en={en}", *SMALL, "--character-coverage", "nan"], "--character-coverage nan is out of range"),
        (["--input", "en={en}", *SMALL, "--model-type", "bbpe"], "--character-coverage is for unigram and bpe"),
        (["--input", "en={en}", *BYTES, "--vocab-size", "255"], "every byte has a piece, which makes 256"),
        (["--input", "en={en}", *BYTES, "--vocab-size", "90000"], "the largest possible is"),
        (["--input", "en={odd}", "--vocab-size", "5"], "the text has no character that SentencePiece keeps"),
        (["--input", "en={odd}", "--vocab-size", "5", "--model-type", "bpe"], "no character that SentencePiece keeps"),
        (["--model", "{folder}/none.model"], "none.model: No such file"),
        (["--model", "{en}"], "text.en.txt: a WordPiece vocabulary needs [UNK]"),
        (["--model", "{folder}/none.model", "--lowercase", "no"], "none.model: --lowercase is for a vocab.txt"),
        (["--input", "en={en}", *SMALL, "--lowercase", "yes"], "--lowercase is for --model with a vocab.txt"),
        (["--input", "en={en}", *SMALL, "--lowercase", "no"], "--lowercase is for --model with a vocab.txt"),
        *(
            (["--model", "{folder}", option, value], f"{option} is for training with --input")
            for option, value in {
                "--vocab-size": "100",
                "--temperature": "5",
                "--sentences": "9",
                "--seed": "1",
                "--model-type": "unigram",
                "--character-coverage": "1",
            }.items()
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, capsys, arguments, message):
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    places = {"en": TEXT, "folder": tmp_path, "empty": write(tmp_path / "empty.txt", "", " ")}
    places["latin"], places["odd"] = tmp_path / "latin.txt", write(tmp_path / "odd.txt", "\u200b", "\x01 \u200b")
    command = ["subword", *(argument.format(**places) for argument in arguments), "--output", str(tmp_path / "out")]
    assert main(command) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert message in last and last.startswith("xalign-preprocess subword: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "latin.txt", "odd.txt"]


def test_input_and_model_exclude_each_other(tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["subword", "--input", "en=a", "--model", "b.model", "--output", str(tmp_path / "out")])
    assert caught.value.code == 2


def test_a_subword_folder_that_holds_other_things_is_not_replaced(tmp_path, capsys):
    text, output = write(tmp_path / "en", *LINES), tmp_path / "sub"
    command = ["subword", "--input", f"en={text}", *SMALL, "--output", str(output)]
    assert main(command) == 0
    assert main(command) == 0  # of its own files alone: replaced
    corpus = write(output / "corpus.en", *LINES)
    capsys.readouterr()
    assert main(command) == 1
    assert "which replacing it would remove: corpus.en." in capsys.readouterr().err
    assert corpus.exists()


def test_an_output_that_is_something_else_is_refused_before_any_work(tmp_path, capsys):
    write(tmp_path / "thesis.txt", "years of work")
    assert main(["subword", "--input", "en=/none", *SMALL, "--output", str(tmp_path)]) == 1
    assert "not a subword folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()
