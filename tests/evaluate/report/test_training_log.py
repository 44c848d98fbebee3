"""Logs of trainings: both formats, resumed trainings, settings; and the curves drawn from them."""

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.report.curves import curves
from fairseq_xalign.evaluate.report.training_log import TrainingLog, log_files, names_of, read_log
from tests.support.samples import write_lines

TIME = "2026-11-26 08:58:40 | INFO"
JSON = [
    f"{TIME} | fairseq_cli.train | {{'_name': None, 'common': {{'seed': 1, 'fp16': False}}, "
    "'task': Namespace(languages='en,de', arch=None), 'lr': [0.0005], 'x': inf}",
    f'{TIME} | train_inner | {{"epoch": 1, "loss": "8.502", "wps": "2533.4", "num_updates": "50"}}',
    f'{TIME} | train_inner | {{"epoch": 1, "loss": "6.5", "wps": "2533.4", "num_updates": "100"}}',
    f'{TIME} | valid | {{"epoch": 1, "valid_loss": "1.123", "valid_accuracy": "75.68", "valid_wpb": "9", '
    '"valid_num_updates": "100"}',
    f'{TIME} | train_inner | {{"epoch": 2, "loss": "6.0", "num_upd',
    f'{TIME} | train_inner | {{"epoch": 1, "loss": "6.4", "num_updates": "100"}}',
    "anything else",
]
SIMPLE = [
    f"{TIME} | train_inner | epoch 001:     50 / 4300 loss=8.502, ppl=362.4, wps=2533.4, num_updates=50, lr=0.002",
    f"{TIME} | valid | epoch 001 | valid on 'valid' subset | loss 1.123 | accuracy 75.68 | wpb 9 | num_updates 100",
    f"{TIME} | train_inner | epoch 002:     50 / 4300 loss=-6.4e-1, ppl=362.4, num_updates=100, lr=0.002",
]


@pytest.mark.parametrize(("lines", "last"), [(JSON, 6.4), (SIMPLE, -0.64)], ids=["json", "simple"])
def test_losses_and_validation_scores_are_read_by_update(tmp_path, lines, last):
    log = read_log(write_lines(tmp_path / "train.log", lines))
    assert log.loss == [(50, 8.502), (100, last)]
    assert log.valid == {"loss": [(100, 1.123)], "accuracy": [(100, 75.68)]}


def test_settings_are_plain_values(tmp_path):
    log = read_log(write_lines(tmp_path / "train.log", JSON))
    assert log.settings["common"] == {"seed": 1, "fp16": False}
    assert log.settings["task"] == {"languages": "en,de", "arch": None} and log.settings["lr"] == [0.0005]


def test_a_text_without_losses_is_refused(tmp_path, capsys):
    write_lines(tmp_path / "train.log", ["nothing"])
    assert main(["plot", "curves", str(tmp_path), "--output", str(tmp_path / "c.png")]) == 1
    assert "train.log: no losses in it" in capsys.readouterr().err and not (tmp_path / "c.png").exists()


def test_logs_are_named_by_what_tells_them_apart(tmp_path):
    for name in ("a/mlm/pretrain", "a/mlm/pos", "a/align/pos"):
        (tmp_path / name).mkdir(parents=True)
        write_lines(tmp_path / name / "train.log", SIMPLE)
    assert names_of(log_files([tmp_path])) == ["align/pos", "mlm/pos", "mlm/pretrain"]
    assert names_of(log_files([tmp_path / "a/mlm/pos"])) == ["pos"]
    with pytest.raises(UserError, match="no such file or folder"):
        log_files([tmp_path / "b"])


def test_each_measure_has_a_panel_and_each_training_a_line_of_its_own_look():
    logs = [TrainingLog(f"run{i}", [(1, 3.0), (2, 2.0 + i)], {"accuracy": [(2, 50.0 + i)]}) for i in range(6)]
    figure = curves(logs)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == ["training loss", "validation accuracy"]
    lines = panels[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[3.0, 2.0 + i] for i in range(6)]
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 6, "told apart without colour"
    assert [axis.get_ylabel() for axis in panels] == ["loss (bits)", "accuracy (%)"]
    with pytest.raises(UserError, match="no curves"):
        curves([TrainingLog("empty")])


def test_names_of_many_trainings_stand_within_the_figure_and_leave_the_panels_their_height():
    logs = [TrainingLog(f"{i}/{'a-long-name-of-a-training/' * 5}", [(1, 3.0), (2, 2.0)]) for i in range(12)]
    figure = curves(logs)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    assert figure.axes[0].bbox.height > 250


def test_curves_are_written_as_png_and_svg(tmp_path):
    write_lines(tmp_path / "train.log", JSON)
    for name in ("c.png", "c.svg"):
        assert main(["plot", "curves", str(tmp_path), "--output", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 5000
