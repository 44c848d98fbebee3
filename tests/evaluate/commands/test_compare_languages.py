"""`xalign-evaluate compare --by language`: the papers' tables, one model per language, seeds, paired tests."""

import csv
import io
import json

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.compare import compare
from fairseq_xalign.evaluate.papers import by_language
from fairseq_xalign.evaluate.report import results
from fairseq_xalign.evaluate.report.languages import language_tables
from preprocess.sets import SETS
from tests.support.runs import result

TARGETS = ("es", "de", "zh")


def run(target, zs, *, source=80.0, sup=None, objective="weam", seed=1, metric="accuracy", benchmark="xnli", **changes):
    scores = {"source": {metric: source}, "zs": {metric: zs}} | ({"sup": {metric: sup}} if sup is not None else {})
    fields = {
        "pair": f"en:{target}" if "-" in target else f"en-{target}",
        "transform": "natural",
        "scores": scores,
        "alignment": {},
        "retrieval": None,
    }
    fields |= {"task": "classification", "settings": {"benchmark": benchmark} if benchmark else {}}
    return result(objective, seed=seed, **(fields | changes))


def write(folder, *runs):
    for number, one in enumerate(runs):
        place = folder / f"run{number}"
        place.mkdir(parents=True)
        results.write(place, one)
    return folder


def printed(paper_table, model, condition, metric="accuracy"):
    """{language: figure} of a printed row, averages included."""
    return {
        cell.language: cell.number
        for cell in papers.cells(paper_table)
        if (cell.model, cell.condition, cell.metric) == (model, condition, metric)
    }


def test_one_model_per_language_gives_weams_table_2_with_english_as_the_mean_over_the_models(tmp_path):
    row = printed("weam.2", "mBERT+WEAM", "zero-shot")
    # Three models whose English scores differ around the printed mean.
    shifts = dict(zip(TARGETS, (-0.6, 0.2, 0.4)))
    runs = [run(target, row[target], source=row["en"] + shifts[target]) for target in TARGETS]
    (table,) = language_tables(runs)
    (ours,) = table.rows
    assert table.languages == ["en", "de", "es", "zh"] and ours.models == 3
    assert ours.mean("en") == pytest.approx(row["en"], abs=1e-9)
    for name in ("AVG(all)", "AVG(zero-shot)"):
        assert ours.mean(name) == pytest.approx(row[name], abs=0.05)
    text = compare([write(tmp_path, *runs)], by="language", paper="weam.2")
    assert "the mean over the models of the languages, for weam (3 models)" in text
    beside = next(line for line in text.splitlines() if line.startswith("[printed] mBERT+WEAM (WEAM Table 2)"))
    assert [beside.split()[-i] for i in (1, 2)] == [f"{row['AVG(zero-shot)']}", f"{row['AVG(all)']}"]


def test_averages_count_each_language_once_and_never_the_source_languages_further_test_sets(tmp_path, capsys):
    scores = {"en-PUD": 100.0, "de": 50.0, "fr": 0.0, "id": 40.0, "id-expert": 10.0}
    folder = write(tmp_path, *(run(target, zs, source=100.0) for target, zs in scores.items()))
    assert main(["compare", str(folder), "--by", "language", "--not-averaged", "id-expert", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    values = {cell["column"]: cell["value"] for cell in found["cells"]}
    assert values["en-PUD"] == 100.0 and values["id-expert"] == 10.0, "their columns stay"
    assert values["AVG(zero-shot)"] == pytest.approx(30.0) and values["AVG(all)"] == pytest.approx(47.5)
    assert found["notes"] == [
        "averages, zero-shot: without en-PUD, more of the source language",
        "averages, zero-shot: without id-expert, as --not-averaged says",
    ]
    (table,) = language_tables([run(target, zs, source=100.0) for target, zs in scores.items()])
    assert table.rows[0].mean("AVG(zero-shot)") == pytest.approx(25.0)
    assert main(["compare", str(folder), "--by", "language", "--not-averaged", "id-exprt"]) == 1
    assert "id-expert" in capsys.readouterr().err
    assert main(["compare", str(folder), "--not-averaged", "id"]) == 1


def test_the_gap_leaves_out_of_averages_what_the_scores_do():
    targets = {"en-PUD": (90.0, 90.0), "de": (50.0, 70.0), "fr": (40.0, 80.0)}
    tables = language_tables([run(name, zs, sup=sup) for name, (zs, sup) in targets.items()])
    gap = next(table for table in tables if table.quantity == "SUP - ZS")
    assert gap.rows[0].mean("AVG(zero-shot)") == pytest.approx(30.0)


def test_relative_changes_are_tpps(tmp_path):
    """Table 2's changes follow from its own figures, within what rounding to 0.1 allows."""
    tasks = {"NER": ("ner", "F1", "chunk_f1"), "UD POS": ("pos", "accuracy", "accuracy")}
    for name, (task, metric, ours) in tasks.items():
        cells = {
            (cell.model, cell.language, cell.metric): cell.number
            for cell in papers.cells("tpp.2")
            if cell.task == name and cell.number is not None
        }
        runs = [
            run(language, cells[model, language, metric], objective=model, task=task, metric=ours, benchmark=None)
            for model in ("mBERT", "mBERT+TPP(ONE)", "mBERT+TPP(ALL)")
            for language in ("hi", "ja", "ar")
        ]
        found = language_tables(runs, ours, ["tpp.2"], against="mBERT")
        change = next(table for table in found if table.quantity == "change")
        rows = {row.name: row for row in change.rows}
        for model in ("mBERT+TPP(ONE)", "mBERT+TPP(ALL)"):
            for language in ("hi", "ja", "ar"):
                exact = cells[model, language, f"{metric} delta%"]
                assert rows[model].mean(language) == pytest.approx(exact, abs=0.6)
                assert rows[f"[printed] {model} (TPP Table 2)"].mean(language) == exact


def test_zero_shot_in_language_and_their_difference_are_three_tables():
    runs = [run(t, zs, sup=90.0, seed=s) for s in (1, 2) for t, zs in (("de", 60.0 + 2 * s), ("es", 70.0))]
    zero_shot, supervised, gap = language_tables(runs)
    assert (zero_shot.training, supervised.training, gap.quantity) == ("zero-shot", "in-language", "SUP - ZS")
    assert gap.rows[0].values == {"de": [28.0, 26.0], "es": [20.0, 20.0], "AVG(zero-shot)": [24.0, 23.0]}
    assert zero_shot.rows[0].values["AVG(all)"] == [pytest.approx(212 / 3), pytest.approx(214 / 3)]
    assert supervised.rows[0].values["AVG(zero-shot)"] == [90.0, 90.0]


def test_the_average_over_targets_is_called_zero_shot_in_zero_shot_tables_only(tmp_path):
    joint = {"settings": {"benchmark": "xnli", "training": "joint"}, "objective": "mlm"}
    runs = [run(t, zs, sup=90.0) for t, zs in (("de", 60.0), ("es", 70.0))] + [run("de", 61.0, **joint)]
    folder = write(tmp_path, *runs, run("es", 71.0, **joint))
    text = compare([folder], by="language").split("\n\n")
    heads = {title.partition("xnli) ")[2]: table.splitlines()[0] for title, table in zip(text[::2], text[1::2])}
    assert len(heads) == 4
    for title, header in heads.items():
        assert ("AVG(zero-shot)" in header) == title.startswith("from en, zero-shot")
        assert ("AVG(targets)" in header) == (not title.startswith("from en, zero-shot"))
    cells = json.loads(compare([folder], by="language", form="json"))["cells"]
    assert {cell["training"] for cell in cells if cell["column"] == "AVG(zero-shot)"} == {"zero-shot"}


def test_a_failed_seed_out_of_five_is_counted_and_named(tmp_path, capsys):
    runs = [run("de", 60.0 + seed, seed=seed) for seed in (1, 2, 3, 5)]
    folder = write(tmp_path / "runs", *runs)
    options = ["--objective", "weam", "--source", "en", "--target", "de", "--task", "classification", "--seed", "4"]
    about = ["--setting", "benchmark=xnli", "--failed", "out of memory at update 300"]
    assert main(["result", str(folder / "run4"), *options, *about]) == 0
    for by, name in (("language", "weam, zero-shot"), ("pair", "weam, en-de")):
        text = compare([folder], by=by)
        assert "4 of 5" in text
        assert f"{name}: no scores of seed 4 (" in text and "out of memory at update 300" in text
    (record, *_) = csv.DictReader(io.StringIO(compare([folder], form="csv")))
    assert record["seeds_without_scores"] == "4" and record["zs"] == "62.75"


def test_a_seed_that_was_run_again_counts_once(tmp_path):
    failed = run("de", 0.0, scores={}, failed="killed")
    (kept,) = results.read_runs([write(tmp_path, failed, run("de", 60.0))])
    assert not kept.failed


def test_seeds_that_were_asked_for_and_languages_that_a_seed_lacks_are_counted(tmp_path):
    runs = [run("de", 60.0), run("es", 70.0), run("de", 61.0, seed=2), run("de", 62.0, seed=3), run("es", 70.0, seed=3)]
    text = compare([write(tmp_path, *runs)], by="language", seeds=[1, 2, 3, 4])
    assert "2 of 4" in text and "no scores of seed 2 (es: no result), 4 (no result)" in text
    # Averages need every language: two seeds have them.
    assert "(2 of 3 seeds)" in text
    assert "3 of 4" in compare([tmp_path], seeds=[1, 2, 3, 4])


def test_a_folder_beside_the_runs_that_looks_like_one_and_has_no_result_is_said(tmp_path, capsys):
    write(tmp_path, run("de", 60.0), run("de", 61.0, seed=2))
    for name in ("run0", "run1", "run2"):
        (tmp_path / name / "pretrain").mkdir(parents=True)
    (tmp_path / "text").mkdir()
    compare([tmp_path], by="language")
    said = capsys.readouterr().err
    assert "run2: no result.json" in said and "text" not in said


def predictions(folder, name, languages, right):
    """Predictions of 200 items, of which the first ``right[language]`` are right."""
    lines = [
        {"id": str(i), "language": lang, "task": "classification", "gold": "ab"[i % 2]}
        | {"prediction": "ab"[i % 2] if i < right[lang] else "ab"[(i + 1) % 2]}
        for lang in languages
        for i in range(200)
    ]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = folder / name
    out.mkdir()
    assert main(["score", "--task", "classification", "--predictions", str(folder / f"{name}.jsonl"), "--json"]) == 0
    return out


def scored_runs(tmp_path, capsys, rights, targets="de,es"):
    """Result folders, by way of the commands: one for each (objective, seed) of ``rights``."""
    for (objective, seed), right in rights.items():
        out = predictions(tmp_path, f"{objective}-{seed}", list(right), right)
        (out / "source.json").write_text(capsys.readouterr().out)
        options = ["--objective", objective, "--source", "en", "--target", targets, "--task", "classification"]
        assert main(["result", str(out), *options, "--seed", str(seed)]) == 0
    return tmp_path


RIGHT = {
    ("mlm", 1): {"en": 180, "de": 100, "es": 150},
    ("mlm", 2): {"en": 180, "de": 104, "es": 150},
    ("align_mlm", 1): {"en": 180, "de": 160, "es": 150},
    ("align_mlm", 2): {"en": 182, "de": 150, "es": 150},
}


def test_one_model_for_several_targets_and_p_values_of_differences_over_seeds(tmp_path, capsys):
    folder = scored_runs(tmp_path, capsys, RIGHT)
    assert sorted(p.name for p in (folder / "mlm-1").iterdir()) == ["de", "es", "source.json"]
    cells = json.loads(compare([folder], by="language", against="mlm", form="json"))["cells"]
    found = {(c["quantity"], c["model"], c["column"]): c for c in cells}
    assert found["score", "align_mlm", "de"]["value"] == 77.5 and found["score", "align_mlm", "en"]["value"] == 90.5
    assert found["difference", "align_mlm", "de"]["value"] == 26.5
    assert found["difference", "align_mlm", "de"]["p"] == pytest.approx(1 / 1001)
    assert found["difference", "align_mlm", "es"]["p"] == 1.0, "the same answers differ in no resample"
    assert found["change", "align_mlm", "de"]["value"] == pytest.approx(100 * 26.5 / 51)
    assert "+26.5 (p 0.001)" in compare([folder], by="language", against="mlm")


def test_without_predictions_there_is_no_p_value_and_the_reason_stands_below(tmp_path):
    text = compare([write(tmp_path, run("de", 60.0, objective="mlm"), run("de", 66.0))], by="language", against="mlm")
    assert "(p " not in text and "no p value: weam records no predictions" in text


def test_predictions_of_other_items_are_refused(tmp_path, capsys):
    folder = scored_runs(tmp_path, capsys, {key: RIGHT[key] for key in (("mlm", 1), ("align_mlm", 1))})
    path = folder / "mlm-1.jsonl"
    path.write_text(path.read_text().replace('"id": "0", "language": "de"', '"id": "new", "language": "de"'))
    with pytest.raises(UserError, match="'de' are of different items"):
        compare([folder], by="language", against="mlm")


@pytest.mark.parametrize(("metric", "name"), [("f1", "F1"), ("exact_match", "EM")])
def test_runs_on_mlqa_stand_beside_the_printed_rows_of_their_metric(metric, name, tmp_path):
    row = printed("weam.1", "mBERT+WEAM", "zero-shot", name)
    runs = [run(target, 50.0, metric=metric, benchmark="mlqa", task="qa") for target in TARGETS]
    text = compare([write(tmp_path, *runs)], by="language", paper="weam.1", metric=metric)
    beside = next(line for line in text.splitlines() if line.startswith("[printed] mBERT+WEAM (WEAM Table 1)"))
    assert all(f"{row[language]:.1f}" in beside.split() for language in ("en", *TARGETS))
    unnamed = [run(target, 50.0, metric=metric, benchmark=None, task="qa") for target in TARGETS]
    assert "[printed] mBERT" not in compare(
        [write(tmp_path / "own", *unnamed)], by="language", paper="weam.1", metric=metric
    )


def test_printed_rows_stand_beside_their_own_task_corpus_metric_and_training_only():
    for benchmark, training, shown in (("xnli", None, 9), ("xnli", "translate-train", 6), ("intents", None, 0)):
        settings = {"benchmark": benchmark} | ({"training": training} if training else {})
        (table,) = language_tables([run("de", 60.0, settings=settings)], tables=["ppa.2"])
        assert sum(bool(row.printed) for row in table.rows) == shown
    tagged = run("de", 60.0, task="pos", benchmark="ud-english-ewt")
    (table,) = language_tables([tagged], tables=["mmte.5", "mmte.7", "mmte.8"])
    assert [row.name for row in table.rows if row.printed] == [
        f"[printed] {m} (MMTE Table 5)" for m in ("mBERT", "MMTE")
    ]


# The published sets on which the papers' tables are (sections of their experiments; TPP: Appendix B), by the names that
# `benchmark` takes and records; sets of entities by the names of their corpora.
USED = [
    ("ppa.2", "xnli", "pairs", "accuracy"),
    ("ppa.4", "mlqa", "qa", "f1"),
    ("ppa.5", "xnli", "pairs", "accuracy"),
    ("weam.1", "mlqa", "qa", "exact_match"),
    ("weam.2", "xnli", "pairs", "accuracy"),
    ("tpp.2", "ssea-2008", "ner", "chunk_f1"),
    *(
        (f"tpp.{number}", name, "classification", "macro_f1")
        for number in (2, 3)
        for name in ("semeval2017", "suzuki2019", "abdulla2013", "sail2015")
    ),
    ("mmte.2", "xnli", "pairs", "accuracy"),
    ("mmte.3", "mldoc", "classification", "accuracy"),
    ("mmte.4", "schuster", "classification", "accuracy"),
    ("mmte.6", "conll2002", "ner", "chunk_f1"),
    ("mmte.6", "conll2003", "ner", "chunk_f1"),
]


@pytest.mark.parametrize(("table", "name", "task", "metric"), USED, ids=lambda value: str(value))
def test_a_published_set_that_a_paper_used_matches_that_papers_table(table, name, task, metric):
    assert name not in SETS or SETS[name].task == task
    rows = by_language.printed_rows([table], task, metric, name, "zero-shot")
    assert rows and all(row.table == table and row.figures for row in rows)


@pytest.mark.parametrize(("task", "name"), [("pairs", "xnli"), ("ner", "wikiann"), ("ner", "panx")])
def test_a_published_set_that_align_mlm_used_matches_its_tables(task, name):
    assert papers.same_benchmark(task, name)


def test_sets_that_no_paper_prints_match_no_table():
    used = {name for _, name, _, _ in USED}
    tables = [table for paper in ("ppa", "weam", "tpp", "mmte") for table in by_language.comparable(paper)]
    for name, known in SETS.items():
        for metric in ("accuracy", "macro_f1", "f1", "exact_match"):
            assert name in used or not by_language.printed_rows(tables, known.task, metric, name, "zero-shot")


def tpp(model, target, **changes):
    """Runs of a model on TPP's three tasks, with the metrics that `score` writes."""
    made = []
    for task, benchmark, metrics in (
        ("ner", "tweets", ("chunk_f1", "chunk_f1_strict")),
        ("classification", "semeval2017", ("accuracy", "macro_f1", "micro_f1")),
        ("pos", "ud", ("accuracy", "chunk_f1")),
    ):
        one = {name: 50.0 + number for number, name in enumerate(metrics)}
        scores = {"source": one, "zs": one}
        made.append(run(target, 0.0, objective=model, task=task, benchmark=benchmark, scores=scores, **changes))
    return made


def test_tables_of_all_tasks_of_a_paper_have_the_metrics_that_it_prints(tmp_path):
    folder = write(tmp_path, *(one for target in ("hi", "ja", "ar") for one in tpp("mlm", target)))
    cells = json.loads(compare([folder], by="language", paper="tpp.2", form="json"))["cells"]
    shown = {(cell["task"], cell["metric"]) for cell in cells if cell["printed"]}
    assert shown == {("ner", "chunk_f1"), ("classification", "macro_f1"), ("pos", "accuracy")}
    assert shown == {(cell["task"], cell["metric"]) for cell in cells}
    sentiment = printed("tpp.2", "mBERT", "zero-shot en->ja", "F1")
    text = compare([folder], by="language", paper="tpp.2")
    assert "classification (semeval2017) from en, zero-shot: macro_f1, %" in text and f"{sentiment['ja']:.1f}" in text
    plain = json.loads(compare([folder], by="language", form="json"))["cells"]
    assert {cell["metric"] for cell in plain if cell["task"] == "classification"} == {"accuracy"}


def test_a_paper_without_a_row_like_the_runs_is_named(tmp_path):
    folder = write(tmp_path, run("de", 50.0, task="classification", benchmark="our-own"))
    text = compare([folder], by="language", paper="tpp.2")
    assert "--paper tpp.2 added nothing: the paper has no row with the same task, metric, corpus and fine-tun" in text


def test_a_printed_metric_that_the_runs_do_not_have_gives_way_to_the_usual_one():
    one = run("ja", 50.0, task="classification", benchmark="semeval2017")
    (table,) = language_tables([one], tables=["tpp.2"])
    assert table.metric == "accuracy" and not any(row.printed for row in table.rows)
    (table,) = language_tables([run("de", 5.0, task="qa", benchmark="mlqa", metric="exact_match")], tables=["weam.1"])
    assert table.metric == "exact_match" and any(row.printed for row in table.rows)


def test_a_baseline_without_scores_in_one_task_is_no_reason_not_to_compare_the_others(tmp_path):
    runs = [*tpp("mlm", "ja"), *tpp("tpp", "ja")]
    runs[0] = run("ja", 0.0, objective="mlm", task="ner", benchmark="tweets", scores={}, failed="out of memory")
    folder = write(tmp_path, *runs)
    text = compare([folder], by="language", against="mlm", paper="tpp.2")
    assert "ner (tweets) from en, zero-shot: no row of mlm to compare with" in text
    assert "mlm, ner, en-ja: no scores of seed 1 (out of memory)" in text
    cells = json.loads(compare([folder], by="language", against="mlm", form="json"))
    assert {cell["task"] for cell in cells["cells"] if cell["quantity"] == "difference"} == {"classification", "pos"}
    assert any("no row of mlm" in note for note in cells["notes"])


def test_a_baseline_without_any_scores_is_refused(tmp_path, capsys):
    failed = run("ja", 0.0, objective="mlm", scores={}, failed="out of memory")
    folder = write(tmp_path, failed, run("ja", 60.0))
    assert main(["compare", str(folder), "--by", "language", "--against", "mlm"]) == 1
    error = capsys.readouterr().err
    assert "no run of mlm, the model to compare with, has scores. Compare with one of weam" in error


def test_what_is_not_compared_is_said_beside_a_csv_too(tmp_path, capsys):
    folder = write(tmp_path, *tpp("mlm", "ja")[1:], *tpp("tpp", "ja"))
    compare([folder], by="language", against="mlm", form="csv")
    assert "ner (tweets) from en, zero-shot: no row of mlm to compare with" in capsys.readouterr().err


def test_a_baseline_without_in_language_scores_is_compared_in_zero_shot(tmp_path):
    runs = [run("de", 60.0, objective="mlm"), run("de", 66.0, sup=80.0)]
    text = compare([write(tmp_path, *runs)], by="language", against="mlm")
    assert "+6.0" in text and "in-language: no row of mlm to compare with" in text


def test_every_printed_score_by_language_can_be_asked_for():
    names = [name for paper in ("ppa", "weam", "tpp", "mmte") for name in by_language.comparable(paper)]
    assert names == [
        *("ppa.2", "ppa.4", "ppa.5", "weam.1", "weam.2", "tpp.2", "tpp.3"),
        *(f"mmte.{number}" for number in range(2, 12)),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "weam"], "--by language"),
        (["--by", "language", "--against", "tlm"], "unknown model to compare with 'tlm'"),
        (["--by", "language", "--paper", "align_mlm.3"], "tpp.2"),
        (["--paper", "weam.1"], "add --by language for weam.1"),
        (["--seeds", "1,x"], "not whole numbers"),
        (["--by", "language", "--bootstrap", "-1"], "--bootstrap -1 is too small"),
        (["--by", "language", "--bootstrap", "1"], "Choose 100 or more, or 0 for none"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, capsys, arguments, message):
    write(tmp_path, run("de", 60.0))
    assert main(["compare", str(tmp_path), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_two_scores_of_one_model_seed_and_language_are_refused():
    with pytest.raises(UserError, match="a second score of weam, seed 1, in 'de'"):
        language_tables([run("de", 60.0), run("de", 61.0)])


@pytest.mark.parametrize("target", ["en", "en,de", ","])
def test_targets_must_be_languages_of_their_own(tmp_path, capsys, target):
    options = ["--objective", "mlm", "--source", "en", "--target", target, "--task", "pos"]
    assert main(["result", str(tmp_path), *options]) == 1
    assert "languages must differ" in capsys.readouterr().err
