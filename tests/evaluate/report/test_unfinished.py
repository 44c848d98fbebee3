"""Folders of runs without a result: named, and counted as seeds where their names tell which."""

from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.compare import compare
from fairseq_xalign.evaluate.report import results
from tests.evaluate.commands.test_compare_languages import run, write


def test_a_folder_without_a_result_is_counted_as_the_seed_that_its_name_tells(tmp_path, capsys):
    for objective, seed, changes in (("mlm", 1, {}), ("mlm", 2, {}), ("weam", 1, {"settings": {"alpha": 1}})):
        write(tmp_path / objective / f"seed{seed}", run("de", 60.0, objective=objective, seed=seed, **changes))
    (tmp_path / "mlm" / "seed3" / "run0").mkdir(parents=True)
    (tmp_path / "mlm" / "seed3" / "run0" / "source.json").write_text("{}")
    (tmp_path / "tpp" / "seed1").mkdir(parents=True)
    (tmp_path / "tpp" / "seed1" / "source.json").write_text("{}")
    for by in ("pair", "language"):
        text = compare([tmp_path], by=by)
        (row,) = [line for line in text.splitlines() if line.startswith("mlm") and "no scores" not in line]
        assert "2 of 3" in row and "no scores of seed 3 (" in text and "no result.json" in text
        assert not any("of" in line for line in text.splitlines() if line.startswith("weam"))
        said = capsys.readouterr().err
        assert "seed3/run0: no result.json; counted as seed 3" in said
        assert "tpp/seed1: no result.json, and nothing tells its seed and its row; it is in no table" in said
    page = tmp_path / "page.html"
    assert main(["report", str(tmp_path), "--output", str(page)]) == 0
    assert "2 of 3" in page.read_text() and "tpp/seed1: no result" in page.read_text()
    assert main(["plot", "transfer", str(tmp_path), "--output", str(tmp_path / "t.svg")]) == 0
    assert "n = 2 of 3" in (tmp_path / "t.svg").read_text()


def test_a_failed_seed_of_a_run_of_several_targets_is_counted_for_each(tmp_path):
    for seed in (1, 2):
        for target in ("de", "es"):
            place = tmp_path / f"mlm-2layers-{seed}" / target
            place.mkdir(parents=True)
            results.write(place, run(target, 60.0, seed=seed))
    (tmp_path / "mlm-2layers-3").mkdir()
    (tmp_path / "mlm-2layers-3" / "source.json").write_text("{}")
    assert compare([tmp_path]).count("2 of 3") == 2
    assert "2 of 3" in compare([tmp_path], by="language", seeds=[1, 2, 3])


def test_a_number_in_a_folders_name_that_is_not_the_seed_is_not_taken_for_it(tmp_path, capsys):
    for layers in (1, 2, 3):
        write(tmp_path / f"layers{layers}", run("de", 60.0, objective=f"mlm{layers}"))
    (tmp_path / "layers4" / "run0").mkdir(parents=True)
    (tmp_path / "layers4" / "run0" / "source.json").write_text("{}")
    assert " of " not in compare([tmp_path])
    assert "layers4/run0: no result.json, and nothing tells its seed" in capsys.readouterr().err
