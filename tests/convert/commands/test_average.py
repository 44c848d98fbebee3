"""Averages are means in double precision, of checkpoints of one training only."""

import pytest
import torch

from fairseq_xalign.convert.__main__ import main
from fairseq_xalign.convert.commands.average import average, last_checkpoints
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_checkpoint, read_encoder
from tests.support.checkpoints import encoder_state, save, translation_state

ROWS = "encoder.embed_tokens.weight"


def scaled(factor, dtype=torch.float32):
    state = encoder_state()
    state["model"] = {name: (factor * value).to(dtype) for name, value in state["model"].items()}
    state["model"]["objectives.x.count"] = torch.tensor(int(factor))
    return state


def test_the_average_is_the_mean_of_every_weight(tmp_path):
    files = [save(scaled(factor), tmp_path / f"{factor}.pt", 10 * factor) for factor in (1, 3, 5)]
    made = read_checkpoint(average([files[2], files[0], files[1]], tmp_path / "out.pt"))
    plain = encoder_state()["model"]
    for name, value in plain.items():
        torch.testing.assert_close(made["model"][name], 3 * value, rtol=1e-6, atol=0)
    assert made["model"]["objectives.x.count"] == 5  # counts are those of the newest, and are not averaged
    assert made["optimizer_history"][-1]["num_updates"] == 50
    assert made["task_state"]["converted"]["of"] == [str(files[2]), str(files[0]), str(files[1])]
    assert "last_optimizer_state" not in made and "best" not in made["extra_state"]


def test_the_mean_is_the_exact_one_rounded_once(tmp_path):
    # in half precision 2048 + 1 is 2048: sums must be taken in a wider one
    values = [2048.0, 1.0, 1.0, 1.0]
    files = []
    for number, value in enumerate(values):
        state = scaled(1, torch.float16)
        state["model"][ROWS] = torch.full_like(state["model"][ROWS], value)
        files.append(save(state, tmp_path / f"{number}.pt", number))
    mean = read_checkpoint(average(files, tmp_path / "out.pt"))["model"][ROWS]
    assert mean.dtype == torch.float16 and (mean == torch.tensor(2051 / 4, dtype=torch.float16)).all()


def test_the_mean_of_equal_checkpoints_is_each_of_them(tmp_path):
    files = [save(scaled(1), tmp_path / f"{number}.pt", number) for number in range(3)]
    made = average(files, tmp_path / "out")
    encoder, _, _ = read_encoder(tmp_path / "out")
    assert made.name == "checkpoint_last.pt"
    for name, value in encoder_state()["model"].items():
        assert torch.equal(encoder.state_dict()[name.removeprefix("encoder.")], value)


def test_the_last_checkpoints_of_a_folder_are_those_with_the_most_updates(tmp_path):
    for name, updates in (("1", 30), ("_1_20", 20), ("_best", 20), ("2", 40), ("_last", 50)):
        save(encoder_state(), tmp_path / f"checkpoint{name}.pt", updates)
    assert [path.name for path in last_checkpoints(tmp_path, 3)] == [
        "checkpoint1.pt", "checkpoint2.pt", "checkpoint_last.pt"
    ]  # fmt: skip
    with pytest.raises(UserError, match="has 4 checkpoints of different updates, not 5"):
        last_checkpoints(tmp_path, 5)
    assert main(["average", "--last", "2", str(tmp_path), str(tmp_path / "mean.pt")]) == 0
    assert read_checkpoint(tmp_path / "mean.pt")["optimizer_history"][-1]["num_updates"] == 50


def other_shape(state):
    state["model"]["encoder.embed_norm.weight"] = torch.ones(17)


def other_weights(state):
    state["model"]["encoder.more"] = torch.ones(1)


def other_vocabulary(state):
    state["task_state"]["tokenizer"] = {**translation_state()["task_state"]["tokenizer"]}


def other_languages(state):
    state["task_state"]["languages"] = ["xx", "en"]


def other_task(state):
    state["task_state"] |= {"labels": ["A", "B"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_shape, r"encoder.embed_norm.weight has shape \(17,\), but \(16,\)"),
        (other_weights, "encoder.more is in one of it"),
        (other_vocabulary, "has another vocabulary"),
        (other_languages, "in 'languages'"),
        (other_task, "in 'labels'"),
    ],
)
def test_checkpoints_of_different_trainings_are_refused(tmp_path, change, message):
    other = encoder_state()
    change(other)
    files = [save(encoder_state(), tmp_path / "a.pt"), save(other, tmp_path / "b.pt")]
    with pytest.raises(UserError, match=message) as error:
        average(files, tmp_path / "out.pt")
    assert error.value.where == files[1] and not (tmp_path / "out.pt").exists()


def test_one_checkpoint_alone_or_twice_is_refused(tmp_path, capsys):
    file = save(encoder_state(), tmp_path / "a.pt")
    for names, message in (([file], "one checkpoint alone"), ([file, file], "named twice")):
        with pytest.raises(UserError, match=message):
            average(names, tmp_path / "out.pt")
    assert main(["average", "--last", "2", str(file), str(file), "out.pt"]) == 1
    assert "--last takes one folder, not 2" in capsys.readouterr().err
