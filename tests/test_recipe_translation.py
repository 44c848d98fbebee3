"""The parts of recipes/mmte, and of the bitext that it shares, that need no training."""

from pathlib import Path

import pytest

from tests.support.samples import write_lines
from tests.test_recipes import RECIPES, ROOT, part, recipe

pytestmark = pytest.mark.skipif(not RECIPES.exists(), reason="no recipes beside this package")


def made_bitext(folder: Path) -> list[Path]:
    """Two corpora of `fetch`, verses and interface strings, with what must not be trained on planted in `train`."""
    verses, ui = folder / "verses", folder / "ui"
    verses.mkdir()
    ui.mkdir()
    for split, count in (("train", 300), ("valid", 40), ("test", 60)):
        for language in ("en", "de", "fr"):
            write_lines(
                verses / f"{split}.{language}.txt", [f"{split} verse number {language}{n}" for n in letters(count)]
            )
        for language in ("de", "fr"):
            for side in ("en", language):
                lines = [f"{split} string of menu {side}{n}" for n in letters(count)]
                write_lines(ui / f"{split}.en-{language}.{side}.txt", lines)
    return [verses, ui]


def letters(count: int) -> list[str]:
    return [f"{'abcdefghijklmnopqrst'[n // 20]}{'abcdefghijklmnopqrst'[n % 20]}" for n in range(count)]


def plant(corpus: Path, language: str, english: str, other: str) -> None:
    for side, line in (("en", english), (language, other)):
        with open(corpus / f"train.en-{language}.{side}.txt", "a", encoding="utf-8") as out:
            out.write(line + "\n")


def test_no_held_out_sentence_is_trained_on_in_any_language(tmp_path):
    bitext = part("prepare_bitext")
    verses, ui = made_bitext(tmp_path)
    before, _ = bitext.split_pairs([verses, ui], ["de", "fr"], 10, 20, range(3, 100))
    (english, german), *_ = before["test", "de"]
    planted = [
        ("fr", english.upper() + " 7!", "jamais vu"),  # the English of German's test, spelled otherwise, with French
        ("de", "something else entirely", german),  # the translation of a test sentence: the source of de-en
        ("de", before["valid", "fr"][0][0], "nie gesehen"),
    ]
    for language, source, target in planted:
        plant(ui, language, source, target)
    found, dropped = bitext.split_pairs([verses, ui], ["de", "fr"], 10, 20, range(3, 100))
    assert {name: found[name] for name in found if name[0] != "train"} == {
        name: before[name] for name in before if name[0] != "train"
    }
    assert dropped == {"English sentence is tested": 2, "translation is tested": 1}
    held = {bitext.key(e) for (split, _), pairs in found.items() if split != "train" for e, _ in pairs}
    for language in ("de", "fr"):
        assert len(found["test", language]) == 20 and len(found["valid", language]) == 10
        assert len(found["train", language]) == 600  # 300 of each corpus: the planted ones are not among them
        assert not held & {bitext.key(e) for e, _ in found["train", language]}
        assert sum(e.startswith("test verse") for e, _ in found["test", language]) == 10


def test_held_out_pairs_are_long_enough_and_a_corpus_without_a_language_is_passed_over(tmp_path):
    bitext = part("prepare_bitext")
    verses, ui = made_bitext(tmp_path)
    plant(ui, "it", "one string here", "una stringa qui")
    assert bitext.read_pairs(verses, "train", "it") == []
    assert bitext.read_pairs(ui, "train", "it") == [("one string here", "una stringa qui")]
    assert bitext.held_out([verses, ui], "test", "de", 30, range(5, 100))[0][0].startswith("test string")
    assert len(bitext.held_out([verses, ui], "test", "de", 30, range(5, 100))) == 30
    write_lines(ui / "train.en-it.it.txt", ["una"] * 2)
    with pytest.raises(SystemExit, match="has 1 lines, but .* has 2"):
        bitext.read_pairs(ui, "train", "it")


def test_english_sentences_that_are_too_long_are_in_no_split_and_counted(tmp_path):
    bitext = part("prepare_bitext")
    verses, ui = made_bitext(tmp_path)
    plant(ui, "de", "this one has six words, really", "zu lang")
    plant(ui, "de", "five words are not too", "kurz genug")
    found, dropped = bitext.split_pairs([verses, ui], ["de"], 10, 20, range(3, 6))
    assert max(len(english.split()) for pairs in found.values() for english, _ in pairs) == 5
    assert ("five words are not too", "kurz genug") in found["train", "de"]
    assert dropped["English sentence is too long"] >= 1
    assert ("this one has six words, really", "zu lang") not in found["train", "de"]


@pytest.mark.parametrize(
    ("options", "models"),
    [
        ([], "1 translation models of 9000 updates"),
        (["--ablation", "temperature"], "3 translation models"),
        (["--ablation", "target"], "2 translation models"),
        (["--ablation", "languages"], "3 translation models"),
        (["--conf", "full"], "2 translation models of 12000 updates of 1000 tokens (mmte_tiny, cpu), 4 bilingual ones"),
        (["--conf", "paper"], "1 translation models of 500000 updates of 8000 tokens (mmte_big, gpu), 0 bilingual"),
        (["--set", "TEMPERATURES=5 1", "--set", "SEEDS=1 2"], "4 translation models"),
    ],
)
def test_translation_varies_one_thing_at_a_time(options, models):
    done = recipe("mmte", *options, "--dry-run")
    assert done.returncode == 0 and f"\n{models}" in done.stdout


def test_the_papers_configuration_names_its_corpora_and_prints_every_command():
    done = recipe("mmte", "--conf", "paper", "--work", "SHARED", "--dry-run")
    assert done.returncode == 0, done.stderr
    said, lines = done.stdout, done.stdout.splitlines()
    fetched = [line for line in lines if line.startswith("mtdata get -l ")]
    languages = lines[0].split("English with ")[1].split()
    assert len(fetched) == len(set(languages)) == 101
    assert any("-l deu-eng -tr OPUS-ccmatrix-v1-deu-eng --merge -o " in line for line in fetched)
    run = "recipes/mmte/run.sh --conf paper --work SHARED"
    for command in (
        f"{run} --set UPDATE_FREQUENCY=64",
        f"recipes/launch/torchrun.sh --gpus 8 {run} --set UPDATE_FREQUENCY=8",
        f"{run} --stop-stage 2",
        f"sbatch --nodes 8 recipes/launch/slurm.sh {run}",
    ):
        assert f"  {command}\n" in said
    (training,) = [line for line in lines if line.startswith("  fairseq-train ")]
    assert " --fp16 " in training and "--optimizer adafactor" in training and "--fp16-no-flatten-grads" in training
    own = recipe("mmte", "--conf", "paper", "--set", "PREPARED=corpora", "--dry-run").stdout
    assert "mtdata" not in own and "--conf paper --set PREPARED=corpora --work" in own


MTDATA = """
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
folder.mkdir(parents=True)
(folder / "args").write_text(" ".join(sys.argv[1:]))
english = [f"this is sentence {word}" for word in map(chr, range(0x4E00, 0x4E00 + 3000))]
(folder / "train.eng").write_text("".join(f"{e}\\n" for e in english), "utf-8")
(folder / "train.deu").write_text("".join(f"das {e[8:]}\\n" for e in english), "utf-8")
(folder / "train.fra").write_text("".join(f"ceci {e[8:]}\\n" for e in english), "utf-8")
"""


def test_mtdatas_corpora_are_split_by_the_english_sentence_alone(tmp_path, monkeypatch, capsys):
    corpora = part("mtdata_corpora")
    table = tmp_path / "table.tsv"
    table.write_text("de\tdeu\tA-b-1-deu-eng C-d-1-deu-eng\nfr\tfra\tA-b-1-eng-fra\n", "utf-8")
    (tmp_path / "mtdata.py").write_text(MTDATA, "utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    tested = tmp_path / "test.txt"
    tested.write_text("This is sentence \u4e05!\n", "utf-8")
    options = ["--table", str(table), "--output", str(tmp_path / "out"), "--held-out", "8", "--exclude", str(tested)]
    assert corpora.main([*options, "--languages", "de fr"]) == 0
    called = (tmp_path / "out/mtdata/de/args").read_text("utf-8")
    assert called.startswith("get -l deu-eng -tr A-b-1-deu-eng C-d-1-deu-eng --merge -o ")
    texts = {
        (split, language, side): (tmp_path / f"out/{split}.en-{language}.{side}.txt").read_text("utf-8").splitlines()
        for language in ("de", "fr") for split in ("train", "valid", "test") for side in ("en", language)
    }  # fmt: skip
    for split in ("train", "valid", "test"):
        assert texts[split, "de", "en"] == texts[split, "fr", "en"], "one sentence, one split"
        assert texts[split, "de", "de"] == [f"das {line[8:]}" for line in texts[split, "de", "en"]]
    held_out = {*texts["valid", "de", "en"], *texts["test", "de", "en"]}
    assert 2 <= len(texts["valid", "de", "en"]) <= 8 and not held_out & {*texts["train", "de", "en"]}
    assert 2900 < len(texts["train", "de", "en"]) < 3000
    assert not any("\u4e05" in line for lines in texts.values() for line in lines)
    (tmp_path / "mtdata.py").write_text("raise SystemExit(1)", "utf-8")
    assert corpora.main([*options, "--languages", "de"]) == 0, "what is there is not fetched again"
    with pytest.raises(SystemExit, match="no corpora for it; add a line"):
        corpora.main([*options, "--languages", "it"])
