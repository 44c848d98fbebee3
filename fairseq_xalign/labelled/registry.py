"""The kinds of labelled task and their tasks: the one list of them."""

from __future__ import annotations

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.labelled.classification import Classification
from fairseq_xalign.labelled.kind import Kind, Task
from fairseq_xalign.labelled.pairs import Pairs
from fairseq_xalign.labelled.questions import Questions
from fairseq_xalign.labelled.tagging import Tagging

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Tagging(), Classification(), Pairs(), Questions())}
"""By the name in ``labels.json`` and in checkpoints."""
TASKS: dict[str, Task] = {task.name: task for kind in KINDS.values() for task in kind.tasks}
"""By the name that ``score --task``, ``result --task`` and ``benchmark`` take."""


def kind_of(task: str) -> Kind:
    """The kind of a task; UserError for an unknown one."""
    for kind in KINDS.values():
        if any(known.name == task for known in kind.tasks):
            return kind
    raise unknown_name("task", task, list(TASKS))


def task_of(kind: Kind, name: str) -> Task | None:
    """The task that a labelled folder's ``name`` says it is; None for a name of the user's own.

    A kind with a single task leaves no choice.
    """
    if len(kind.tasks) == 1:
        return kind.tasks[0]
    return next((task for task in kind.tasks if task.name == name), None)
