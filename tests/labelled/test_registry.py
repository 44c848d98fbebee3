"""The kinds and their tasks: names, metrics, files."""

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.registry import KINDS, TASKS, kind_of, task_of


def test_a_task_has_one_kind_and_an_unknown_one_names_the_others():
    assert {name: kind_of(name).name for name in TASKS} == {
        "pos": "tagging",
        "ner": "tagging",
        "classification": "classification",
        "pairs": "pairs",
        "qa": "qa",
    }
    with pytest.raises(UserError, match="unknown task 'nre'. Did you mean 'ner'"):
        kind_of("nre")


def test_a_folder_of_the_users_own_name_is_of_the_kinds_only_task_or_of_none():
    tagging, classification = KINDS["tagging"], KINDS["classification"]
    assert task_of(tagging, "ner") is TASKS["ner"] and task_of(tagging, "my tags") is None
    assert task_of(classification, "my intents") is TASKS["classification"]


def test_strict_f1_is_reported_only_for_iob2_and_pos_gets_both_figures():
    def names(task, pairs):
        return [metric.name for metric in TASKS[task].metrics(pairs)]

    assert names("pos", []) == ["accuracy", "chunk_f1"]
    assert names("ner", [(["B-A"], ["O"])]) == ["chunk_f1", "chunk_f1_strict", "accuracy"]
    assert names("ner", [(["S-A"], ["O"])]) == ["chunk_f1", "accuracy"]
    assert names("classification", [("a", "b")]) == ["accuracy", "macro_f1", "micro_f1"]
