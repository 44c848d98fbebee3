"""The settings of test runs are those that hydra composes by itself."""

import pytest

from tests.support import quick_hydra, trainings
from tests.support.trainings import TINY


def test_what_is_composed_quickly_is_what_hydra_composes(tmp_path, monkeypatch):
    monkeypatch.setenv(trainings.COMPOSED, str(tmp_path))
    for further in ([], ["--lr", "0.5,0.25", "--seed", 7, "--save-dir", "a b/c:d=e", "--adam-betas", "(0.9, 0.98)"]):
        arguments = ["data", *TINY, *further]
        quick_hydra._composed.clear()
        quick = [quick_hydra.compose(*arguments) for _ in range(2)]
        quick_hydra._composed.clear()
        quick.append(quick_hydra.compose(*arguments))  # what another process has composed
        with monkeypatch.context() as patch:
            for owner, name, own in quick_hydra.HYDRAS_OWN:
                patch.setattr(owner, name, own)
            assert quick == 3 * [quick_hydra.compose(*arguments)]
    assert len(list(tmp_path.iterdir())) == 1, "both have the same task, model, criterion and optimizer"


@pytest.mark.parametrize("wrong", [["--optimizer", "adamw", "--lr-scheduler", "none"], ["--task", "none"]])
def test_a_choice_that_there_is_not_is_refused_as_ever(wrong):
    with pytest.raises(SystemExit):
        quick_hydra.compose("data", *TINY, *wrong)
