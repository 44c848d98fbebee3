"""``xalign-evaluate bleu``: scores of files as sacrebleu gives them, and options that do not go together."""

import json

import pytest
import sacrebleu

from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.bleu import bleu
from tests.support.samples import write_lines

ENGLISH = ["The dog sleeps in the house.", "We go to the old town.", "She reads a long book today."]
GERMAN = ["Der Hund schläft im Haus.", "Wir gehen in die alte Stadt.", "Sie liest heute ein langes Buch."]
ANSWERS = ["Der Hund schläft in dem Haus.", "We go to the old town.", "Sie Sie Sie Sie liest ein Buch."]


@pytest.fixture
def files(tmp_path):
    texts = {"en": ENGLISH, "de": GERMAN, "answers": ANSWERS}
    return {name: str(write_lines(tmp_path / name, lines)) for name, lines in texts.items()}


def texts(files):
    return ["--text", f"en={files['en']}", "--text", f"de={files['de']}"]


def test_files_are_scored_as_sacrebleu_scores_them(files, capsys):
    assert main(["bleu", "--hypotheses", f"en-de={files['answers']}", *texts(files), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (entry,) = result["directions"].values()
    assert entry["bleu"] == sacrebleu.corpus_bleu(ANSWERS, [GERMAN]).score
    assert entry["chrf"] == sacrebleu.corpus_chrf(ANSWERS, [GERMAN]).score
    third = pytest.approx(100 / 3)
    assert (entry["off_target"], entry["repetition"], entry["copies"], entry["unknown"]) == (third, third, third, 0)
    assert entry["of_references"] == {"off_target": 0, "unknown": 0, "repetition": 0}
    assert entry["signatures"]["bleu"].startswith("BLEU|nrefs:1|case:mixed|eff:no|tok:13a|")


def test_the_output_of_fairseq_generate_has_the_same_scores(files, tmp_path, capsys):
    lines = [f"T-{i}\t{GERMAN[i]}\nH-{i}\t-0.5\t{ANSWERS[i]}\nD-{i}\t-0.5\t{ANSWERS[i]}" for i in (1, 2, 0)]
    log = write_lines(tmp_path / "log", lines)
    from_log = bleu(hypotheses={"en-de": log}).directions["en-de"]
    plain = bleu(hypotheses={"en-de": files["answers"]}, references={"de": files["de"]}).directions["en-de"]
    assert from_log == plain and plain["copies"] is None


def test_a_table_with_a_baseline_and_the_pairs_of_training(files, tmp_path, capsys):
    given = ["--hypotheses", f"en-de={files['answers']}", *texts(files), "--name", "many"]
    assert main(["bleu", "--hypotheses", f"en-de={files['de']}", *texts(files), "--output", f"{tmp_path}/base"]) == 0
    capsys.readouterr()
    assert main(["bleu", *given, "--baseline", f"{tmp_path}/base", "--output", f"{tmp_path}/ours"]) == 0
    table = capsys.readouterr().out
    bleu_ = sacrebleu.corpus_bleu(ANSWERS, [GERMAN]).score
    assert f"100.0       {bleu_ - 100:.1f}\n" in table and "BLEU|nrefs:1" in table
    assert json.loads((tmp_path / "ours" / "bleu.json").read_text())["name"] == "many"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "x"], "no test set. Add --data DIR"),
        (["--checkpoint", "x", "--data", "d", "--text", "en=f"], "--data and --text are two test sets"),
        (["--checkpoint", "x", "--beam", "0"], "--beam 0 is too small"),
        (["--checkpoint", "x", "--lenpen", "nan"], "--lenpen nan is not a positive number"),
        (["--hypotheses", "en-de=f", "--hypotheses", "en-de=g"], "--hypotheses names 'en-de' twice"),
        (["--hypotheses", "en-de=f", "--baseline", "nowhere"], "no bleu.json there"),
    ],
)
def test_options_that_cannot_work_are_one_line(arguments, message, capsys):
    assert main(["bleu", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_other_references_than_the_baselines_are_refused(files, tmp_path, capsys):
    other = write_lines(tmp_path / "other", ["Eins.", "Zwei.", "Drei."])
    hypotheses = ["--hypotheses", f"en-de={files['answers']}"]
    assert main(["bleu", *hypotheses, "--references", f"de={other}", "--output", f"{tmp_path}/base"]) == 0
    assert main(["bleu", *hypotheses, "--references", f"de={files['de']}", "--baseline", f"{tmp_path}/base"]) == 1
    assert "en-de: scored against other references" in capsys.readouterr().err


def test_without_py3langid_everything_else_is_scored(files, monkeypatch, capsys):
    from fairseq_xalign.evaluate.metrics import identification

    def missing():
        raise ModuleNotFoundError("No module named 'py3langid'", name="py3langid")

    monkeypatch.setattr(identification, "_classifier", missing)
    entry = bleu(hypotheses={"en-de": files["answers"]}, references={"de": files["de"]}).directions["en-de"]
    assert entry["off_target"] is None and entry["unknown"] is None and "off_target" not in entry["signatures"]
    assert "pip install py3langid" in capsys.readouterr().err
