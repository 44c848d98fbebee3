"""`xalign-evaluate result`: what a file says of itself is compared with what is asked for."""

import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.result import result
from fairseq_xalign.evaluate.report.results import read


def scored(task="pos", split="test", n=20, **scores):
    """What `score --json` prints."""
    signature = f"accuracy|per:token|n:{n}|split:{split}|lang:{{}}|bootstrap:1000|seed:1|v:0.1.0"
    return {
        "predictions": "p.jsonl",
        "task": task,
        "scores": {language: {"accuracy": value} for language, value in scores.items()},
        "signatures": {language: {"accuracy": signature.format(language)} for language in scores},
    }


FILES = {
    "source.json": scored(en=90.0, de=60.0),
    "target.json": scored(de=88.0),
    "alignment.json": {"source": "en", "target": "de", "pairs": 75, "alignment": {"all": 25.0}},
    "retrieval.json": {"source": "en", "target": "de", "mean": 70.0},
}
ASKED = {"objective": "mlm", "source": "en", "target": "de", "task": "pos"}


def folder(path, **changes):
    for name, value in FILES.items():
        value = changes.get(name.removesuffix(".json"), value)
        (path / name).write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


@pytest.mark.parametrize("changes", [{"target": "../esc,de"}, {"target": "d e"}, {"source": "../en"}])
def test_a_language_that_is_none_is_refused_and_nothing_is_written(tmp_path, changes):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(UserError, match="is not a language code"):
        result(folder(run), **ASKED | changes)
    assert not list(tmp_path.rglob("result.json"))


def test_compare_does_not_replace_a_result_that_it_reads(tmp_path, capsys):
    result(folder(tmp_path), **ASKED)
    before = (tmp_path / "result.json").read_text("utf-8")
    assert main(["compare", str(tmp_path), "--output", str(tmp_path / "result.json")]) == 1
    assert "is read by this command, which would replace it" in capsys.readouterr().err
    assert (tmp_path / "result.json").read_text("utf-8") == before


def test_files_that_agree_become_a_result(tmp_path):
    made = result(folder(tmp_path), **ASKED)
    assert made.scores == {"source": {"accuracy": 90.0}, "zs": {"accuracy": 60.0}, "sup": {"accuracy": 88.0}}
    assert (made.alignment, made.retrieval, made.pair) == ({"all": 25.0}, 70.0, "en-de")
    assert read(tmp_path / "result.json") == made


def test_figures_without_a_word_about_themselves_are_taken(tmp_path):
    bare = {"scores": {"en": {"accuracy": 90.0}, "de": {"accuracy": 60.0}}}
    made = result(
        folder(tmp_path, source=bare, alignment={"alignment": {}}, retrieval={"mean": 1.0}),
        **ASKED,
    )
    assert made.score("zs", "accuracy") == 60.0 and made.signature == {}


def test_the_set_that_the_scores_name_is_the_benchmark_unless_another_is_given(tmp_path):
    files = folder(tmp_path, source=FILES["source.json"] | {"set": "xnli"})
    assert result(files, **ASKED).settings["benchmark"] == "xnli"
    assert result(files, **ASKED, settings={"benchmark": "mine"}).settings["benchmark"] == "mine"
    assert "benchmark" not in result(folder(tmp_path), **ASKED).settings


def pairs(**means):
    """What `retrieve --json` prints of several pairs: ``de_en=70.0`` for German and English."""
    found = [{"source": a, "target": b, "mean": mean} for (a, b), mean in ((n.split("_"), m) for n, m in means.items())]
    return {"pairs": found, "mean": sum(means.values()) / len(means)}


def test_of_several_pairs_the_runs_own_is_recorded_not_their_mean(tmp_path):
    made = result(folder(tmp_path, retrieval=pairs(fr_en=10.0, de_en=70.0, en_zh=20.0)), **ASKED)
    assert made.retrieval == 70.0


SEVERAL = ASKED | {"target": "de,fr"}
BOTH = {"source": scored(en=90.0, de=60.0, fr=50.0)}


def test_several_targets_each_take_their_own_pair_of_one_file(tmp_path):
    files = folder(tmp_path, **BOTH, retrieval=pairs(en_de=70.0, en_fr=30.0))
    (files / "alignment.json").unlink()
    de, fr = result(files, **SEVERAL)
    assert (de.retrieval, fr.retrieval) == (70.0, 30.0)
    (files / "retrieval.fr.json").write_text(json.dumps({"source": "fr", "target": "en", "mean": 31.0}))
    (files / "alignment.fr.json").write_text(json.dumps({"alignment": {"all": 5.0}}))
    (files / "alignment.de.json").write_text(json.dumps(FILES["alignment.json"]))
    de, fr = result(files, **SEVERAL)
    assert (de.retrieval, fr.retrieval) == (70.0, 31.0), "a target's own file comes first"
    assert (de.alignment, fr.alignment) == ({"all": 25.0}, {"all": 5.0})


@pytest.mark.parametrize(("name", "bare"), [("alignment", {"alignment": {"all": 25.0}}), ("retrieval", {"mean": 1.0})])
def test_a_figure_of_one_pair_is_not_one_of_every_target(tmp_path, capsys, name, bare):
    options = [text for key, value in SEVERAL.items() for text in (f"--{key}", value)]
    unsaid = "it does not say which languages it is of, and there are several targets"
    cases = [({}, "figures for en and de, not for en and fr"), ({name: bare}, unsaid)]
    for changes, message in cases:
        folder(tmp_path, **BOTH, **changes)
        (tmp_path / f"{'retrieval' if name == 'alignment' else 'alignment'}.json").unlink()
        assert main(["result", str(tmp_path), *options]) == 1
        said = capsys.readouterr().err
        assert f"{name}.json: {message}" in said and f"{name}.de.json" in said and said.count("\n") == 1
    assert not list(tmp_path.glob("*/result.json"))


WRONG = [
    ({"source": scored("ner", en=9, de=6)}, "source.json: scores of the task ner, not pos. Give --task ner"),
    ({"target": scored("ner", de=6)}, "target.json: scores of the task ner, not pos. Give --task ner"),
    ({"target": scored(fr=6)}, "target.json: no scores of 'de'. It has fr"),
    (
        {"target": scored(split="valid", de=6)},
        "target.json: accuracy of de was computed with split:valid, in source.json with split:test",
    ),
    ({"target": scored(n=19, de=6)}, "target.json: accuracy of de was computed with n:19, in source.json with n:20"),
    ({"alignment": {"alignment": {}, "source": "en", "target": "fr"}}, "figures for en and fr, not for en and de"),
    ({"retrieval": {"mean": 1, "source": "fr", "target": "de"}}, "retrieval.json: figures for fr and de, not for"),
    ({"retrieval": pairs(en_fr=1.0, zh_en=2.0)}, "retrieval.json: figures for en-fr, zh-en, not for en and de"),
    ({"retrieval": {"pairs": [], "mean": 1.0}}, "retrieval.json: figures for no pair, not for en and de"),
    (
        {"retrieval": {"pairs": 2 * pairs(en_de=1.0)["pairs"], "mean": 1.0}},
        "retrieval.json: 2 figures for en and de. Keep one of them",
    ),
    (
        {"retrieval": {"pairs": [{"source": "en", "target": "de"}], "mean": 1.0}},
        'retrieval.json: no "mean" for en and de',
    ),
    ({"retrieval": {"pairs": 3, "mean": 1.0}}, 'retrieval.json: "pairs" must be a list of objects'),
    ({"retrieval": scored(en=1)}, 'retrieval.json: no "mean" in it: not what `retrieve` prints'),
    ({"alignment": {"mean": 1}}, 'alignment.json: no "alignment" in it: not what `align` prints'),
    ({"source": {"mean": 1}}, 'source.json: no "scores" in it'),
    ({"source": [1]}, 'source.json: no "scores" in it'),
    ({"source": {"scores": [1]}}, 'source.json: "scores" must be an object of languages'),
    (
        {"source": {"scores": {"en": {"accuracy": "high"}, "de": {}}}},
        "source.json: \"scores.en.accuracy\" is 'high', not a",
    ),
    (
        {"source": scored(en=990.0, de=60.0)},
        'source.json: "scores.en.accuracy" is 990.0, not a per cent. Write it again',
    ),
    ({"target": scored(de=-1.0)}, 'target.json: "scores.de.accuracy" is -1.0, not a per cent'),
    ({"alignment": {"alignment": {"all": 250.0}}}, 'alignment.json: "alignment.all" is 250.0, not a per cent'),
    ({"retrieval": {"mean": "high"}}, "retrieval.json: \"retrieve.mean\" is 'high', not a number"),
    ({"source": "{"}, "source.json:1: not valid JSON"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=range(len(WRONG)))
def test_a_file_of_another_task_language_or_test_set_is_refused_in_one_line(tmp_path, capsys, changes, message):
    folder(tmp_path, **changes)
    options = [text for name, value in ASKED.items() for text in (f"--{name}", value)]
    assert main(["result", str(tmp_path), *options]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("option", ["objective", "transform"])
def test_an_option_without_text_is_refused_by_its_name(tmp_path, capsys, option):
    folder(tmp_path)
    options = [text for name, value in (ASKED | {option: " "}).items() for text in (f"--{name}", value)]
    assert main(["result", str(tmp_path), *options]) == 1
    assert f"--{option} is empty" in capsys.readouterr().err and not (tmp_path / "result.json").exists()


def test_a_source_and_a_target_of_two_splits_are_refused(tmp_path, capsys):
    value = scored(en=90.0, de=60.0)
    value["signatures"]["en"]["accuracy"] = value["signatures"]["en"]["accuracy"].replace("split:test", "split:valid")
    options = [text for name, value in ASKED.items() for text in (f"--{name}", value)]
    assert main(["result", str(folder(tmp_path, source=value)), *options]) == 1
    assert "the source is scored on valid, the target on test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message", "remedy"),
    [
        ("dictionary_share=25", "dictionary_share=25, not a share from 0 to 1", "Write 0.25"),
        ("overlap=7.5", "overlap=7.5, not a share from 0 to 1", "Write 0.075"),
        ("parallel_share=-0.1", "parallel_share=-0.1, not a share from 0 to 1", "Write a number from 0 to 1"),
        ("overlap=half", "overlap=half, not a finite number", "Write a finite number"),
        ("alpha=nan", "alpha=nan, not a finite number", "Write a finite number"),
        ("alpha=Infinity", "alpha=inf, not a finite number", "Write a finite number"),
        ("learning_rate=-inf", "learning_rate=-inf, not a finite number", "Write a finite number"),
        ("rates=[0.1, NaN]", "rates=[0.1, nan], not a finite number", "Write a finite number"),
        ("training=[1]", "training=[1], neither a number nor a text", "Write a text"),
    ],
)
def test_a_setting_that_no_table_could_show_is_refused_with_the_remedy(tmp_path, capsys, setting, message, remedy):
    options = [part for name, value in ASKED.items() for part in (f"--{name}", value)]
    assert main(["result", str(folder(tmp_path)), *options, "--setting", setting]) == 1
    said = capsys.readouterr().err
    assert f"--setting {message}" in said and remedy in said
    assert not (tmp_path / "result.json").exists()


def test_shares_from_0_to_1_numbers_and_texts_are_settings(tmp_path):
    asked = ["dictionary_share=0", "overlap=1", "alpha=1e3", "benchmark=nan", "updates=300", "note=a text", "tied=true"]
    options = [part for name, value in ASKED.items() for part in (f"--{name}", value)]
    settings = [part for setting in asked for part in ("--setting", setting)]
    assert main(["result", str(folder(tmp_path)), *options, *settings]) == 0
    found = read(tmp_path / "result.json").settings
    assert found["overlap"] == 1 and found["alpha"] == 1000.0 and found["benchmark"] == "nan" and found["tied"] is True
