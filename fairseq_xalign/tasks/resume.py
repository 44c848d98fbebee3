"""Which checkpoint a training resumes from, or takes its weights from.

The place in the data is kept by ``data/iterator.py``, the state that decides when to stop by
``compat/stopping_state.py``, and weights and optimizer by fairseq.
"""

from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import find_checkpoint, read_checkpoint
from fairseq_xalign.options import flag

DEFAULT_RESTORE = "checkpoint_last.pt"
"""fairseq's default of ``--restore-file``: the file of this name in ``--save-dir``, if there is one."""


def start_checkpoint(cfg: Any) -> dict[str, Any] | None:
    """``task_state`` of the checkpoint that training will resume or start from, or None.

    With it come ``path``, ``resumed`` (whether training goes on, rather than takes weights alone), the
    ``criterion_name`` that is resumed, the names of the weights that objectives ``own`` there, and ``optimizer_reset``.

    Every option takes a ``.pt`` file or a folder, which stands for its best checkpoint, else its last.

    Raises:
        UserError: the options exclude each other, or name no checkpoint.
    """
    restore, finetune = cfg.restore_file or DEFAULT_RESTORE, cfg.finetune_from_model
    for name in ("reset_optimizer", "reset_dataloader") if finetune else ():
        if getattr(cfg, name):
            raise UserError(
                f"{flag(name)} cannot be combined with --finetune-from-model",
                remedy="Leave it out: --finetune-from-model resets everything but the weights",
            )
    resumed = True
    if restore != DEFAULT_RESTORE:
        if finetune:
            raise UserError(
                "--restore-file cannot be combined with --finetune-from-model",
                remedy="Resume with the one, or start from weights with the other",
            )
        if not Path(restore).exists():
            raise UserError("--restore-file: no such file", restore, remedy="Name a .pt file, or leave it out")
        chosen = find_checkpoint(restore)
    elif (Path(cfg.save_dir or "") / restore).exists():
        chosen = Path(cfg.save_dir or "") / restore
    elif cfg.continue_once:
        chosen = find_checkpoint(cfg.continue_once)
    elif finetune:
        chosen, resumed = find_checkpoint(finetune), False
    else:
        return None
    state = read_checkpoint(chosen, mapped=True)
    history = state.get("optimizer_history") or [{}]
    criterion = history[-1].get("criterion_name") if resumed and not cfg.reset_optimizer else None
    own = {name for name in state["model"] if name.startswith("objectives.")}
    return {
        **state["task_state"],
        "path": str(chosen),
        "criterion_name": criterion,
        "resumed": resumed,
        "own": own,
        "optimizer_reset": bool(cfg.reset_optimizer),
    }
