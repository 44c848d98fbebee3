"""``xalign-evaluate bleu``: scores of files as sacrebleu gives them, and options that do not go together."""

import json

import pytest
import sacrebleu

from fairseq_xalign.convert.commands.add_language import add_language
from fairseq_xalign.convert.commands.average import average
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.formats.generate_log import read_generate_log
from fairseq_xalign.data.test_set import FolderTestSet
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.bleu import bleu
from fairseq_xalign.evaluate.report.translations import read_translations
from tests.support.checkpoints import save, translation_state
from tests.support.parallel import make_folder
from tests.support.running import ROOT, pretrain
from tests.support.samples import write_lines
from tests.support.trainings import command, run_function, wait

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
        (["--checkpoint", "x", "--lenpen", "nan"], "--lenpen nan is too small"),
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short real training on made-up languages, and its data folder."""
    root = tmp_path_factory.mktemp("trained")
    data = make_folder(root)
    options = ["--lr", "0.01", "--dropout", "0", "--max-tokens", 1000, "--disable-validation"]
    run = pretrain(data, root / "run", "mnmt", 60, *options)
    assert run.status == 0, run.text[-3000:]
    return data, run.save_dir


def test_a_checkpoint_translates_the_test_split_of_a_folder(trained, tmp_path, capsys):
    data, checkpoint = trained
    out = tmp_path / "scores"
    arguments = ["bleu", "--checkpoint", str(checkpoint), "--data", str(data), "--beam", "2", "--output", str(out)]
    assert main([*arguments, "--threshold", "100"]) == 0
    table = capsys.readouterr().out
    result = read_translations(out)
    assert list(result.directions) == ["en-de", "de-en", "en-fr", "fr-en"]  # not de-fr: nothing was trained on it
    assert {name: entry["pairs"] for name, entry in result.directions.items()} == {
        "en-de": 300, "de-en": 300, "en-fr": 60, "fr-en": 60
    }  # fmt: skip
    sources, references = FolderTestSet(DataFolder.open(data), "test").lines(("en", "de"))
    copied = sacrebleu.corpus_chrf(sources, [references]).score
    assert result.directions["en-de"]["chrf"] > copied + 5 and result.directions["en-de"]["copies"] == 0
    assert result.averages["high resource"]["directions"] == result.averages["into English"]["directions"] == 2
    assert "average, out of English (2)" in table and result.settings["beam"] == 2
    hypotheses = (out / "en-de.hyp.txt").read_text().splitlines()
    assert len(hypotheses) == len(references) == 13
    assert result.directions["en-de"]["bleu"] == sacrebleu.corpus_bleu(hypotheses, [references]).score
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.hyp.txt")}
    assert main(arguments) == 0
    assert "4 of 4 directions were translated before" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.hyp.txt")} == before


def test_a_zero_shot_direction_can_be_named_and_text_files_give_the_same_scores(trained, capsys):
    data, checkpoint = trained
    zero = bleu(checkpoint, data=data, directions=["de-fr"], beam=1).directions["de-fr"]
    files = {name: data.parent / f"zero.{name}" for name in ("de", "fr")}
    same = bleu(checkpoint, texts=files, directions=["de-fr"], beam=1).directions["de-fr"]
    assert (zero["sentences"], zero["bleu"], zero["chrf"]) == (9, same["bleu"], same["chrf"])
    assert zero["pairs"] is None
    files = {name: data.parent / f"test.de.{name}" for name in ("de", "en")}
    assert bleu(checkpoint, texts=files, directions=["de-en"], beam=1).directions["de-en"]["pairs"] == 300
    assert f"training pairs: those of {data}" in capsys.readouterr().err


def test_a_model_that_knows_a_language_says_which_it_does_not(trained, tmp_path, capsys):
    _, checkpoint = trained
    files = [f"{name}={write_lines(tmp_path / name, ['ba be'])}" for name in ("en", "nl")]
    arguments = ["bleu", "--checkpoint", str(checkpoint), "--text", files[0], "--text", files[1]]
    assert main(arguments) == 1
    assert "none of its directions (en-nl, nl-en) is one that the checkpoint was trained on" in capsys.readouterr().err
    assert main([*arguments, "--directions", "en-nl"]) == 1
    error = capsys.readouterr().err
    assert "the vocabulary has no <2nl>" in error and "<2en>" in error and error.count("\n") == 1


def test_a_bilingual_model_translates_into_its_own_language_only(tmp_path):
    state = translation_state()
    state["task_state"] |= {"target_token": "none", "directions": ["en-xx"]}
    files = {name: write_lines(tmp_path / name, ["the state"]) for name in ("en", "xx")}
    model = save(state, tmp_path / "model.pt")
    assert list(bleu(model, texts=files, max_len_b=4).directions) == ["en-xx"]
    with pytest.raises(UserError, match="xx-en: the model was trained to translate into xx alone"):
        bleu(model, texts=files, directions=["xx-en"])


def test_a_grown_and_an_averaged_model_translate_as_before(trained, tmp_path):
    data, checkpoint = trained
    scores = {}
    last = checkpoint / "checkpoint_last.pt"
    (tmp_path / "copy.pt").write_bytes(last.read_bytes())
    models = {
        "before": last,
        "grown": add_language(last, "nl", tmp_path / "grown.pt"),
        "averaged": average([last, tmp_path / "copy.pt"], tmp_path / "average.pt"),
    }
    for name, model in models.items():
        folder = tmp_path / name
        bleu(model, data=data, directions=["en-de", "fr-en"], output=folder)
        scores[name] = [(folder / f"{pair}.hyp.txt").read_text() for pair in ("en-de", "fr-en")]
    assert scores["before"] == scores["grown"] == scores["averaged"]


def test_fairseq_generate_gives_the_same_translations_and_scores(trained, tmp_path):
    data, checkpoint = trained
    arguments = [data, "--user-dir", ROOT / "fairseq_xalign", "--task", "mnmt", "-s", "en", "-t", "de", "--path",
                 checkpoint / "checkpoint_last.pt", "--gen-subset", "test", "--beam", 4, "--cpu", "--num-workers", 0,
                 "--max-tokens", 1000]  # fmt: skip
    process = run_function(
        command, "fairseq_cli.generate", [str(a) for a in arguments], log=tmp_path / "log", plain=True
    )
    assert wait(process) == 0, (tmp_path / "log").read_text()[-2000:]
    theirs = bleu(hypotheses={"en-de": tmp_path / "log"}).directions["en-de"]
    ours = bleu(checkpoint, data=data, directions=["en-de"], output=tmp_path / "out").directions["en-de"]
    for figure in ("sentences", "bleu", "chrf", "repetition", "references_sha256"):
        assert theirs[figure] == ours[figure]
    lines = (tmp_path / "out" / "en-de.hyp.txt").read_text().splitlines()
    assert read_generate_log(tmp_path / "log").hypotheses == lines
