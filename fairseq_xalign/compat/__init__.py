"""Every workaround for fairseq 0.12.3 and torch, one file per idea, each workaround with its reason and its test.

:func:`apply` puts all of them in place. It is called when our tasks are imported, and may be called any number of
times. Importing this package imports neither fairseq nor torch.

- :mod:`~fairseq_xalign.compat.adafactor`: the learning rate of Adafactor;
- :mod:`~fairseq_xalign.compat.checkpoints`: reading, broadcasting and writing checkpoints;
- :mod:`~fairseq_xalign.compat.commands`: fairseq's other commands with our tasks;
- :mod:`~fairseq_xalign.compat.errors`: one line instead of a traceback for what a user can correct;
- :mod:`~fairseq_xalign.compat.generation`: phrases that are not to be repeated;
- :mod:`~fairseq_xalign.compat.generation_options`: settings of translation that fairseq crashes on or passes over;
- :mod:`~fairseq_xalign.compat.hydra_warnings`: warnings that a user can do nothing about;
- :mod:`~fairseq_xalign.compat.import_messages`: what fairseq says while it is imported;
- :mod:`~fairseq_xalign.compat.mixed_precision`: gradients under ``--amp``, and which precision is suggested;
- :mod:`~fairseq_xalign.compat.paths`: paths with a colon;
- :mod:`~fairseq_xalign.compat.save_directory`: the folder of the checkpoints, and its lock;
- :mod:`~fairseq_xalign.compat.settings`: settings that fairseq accepts and then crashes on;
- :mod:`~fairseq_xalign.compat.stopping`: how a training ends;
- :mod:`~fairseq_xalign.compat.stopping_state`: what decides when it ends, kept in checkpoints;
- :mod:`~fairseq_xalign.compat.user_directory`: finding our tasks;
- :mod:`~fairseq_xalign.compat.patching`: the helper that all of them share.
"""

from fairseq_xalign.compat.adafactor import scale_each_parameter_alone
from fairseq_xalign.compat.checkpoints import (
    TEMPORARY_SUFFIX,
    allow_broadcast_classes,
    allow_checkpoint_classes,
    last_good_checkpoint,
    save_intervals_at_the_end_of_epochs,
    write_checkpoints_whole,
)
from fairseq_xalign.compat.errors import DEBUG_VARIABLE, shorten_user_errors
from fairseq_xalign.compat.generation import block_repeated_ngrams
from fairseq_xalign.compat.hydra_warnings import HYDRA_WARNINGS, silence_hydra
from fairseq_xalign.compat.import_messages import silence_tensorboard
from fairseq_xalign.compat.mixed_precision import suggest_autocast, unscale_once
from fairseq_xalign.compat.patching import apply
from fairseq_xalign.compat.paths import keep_existing_paths_whole
from fairseq_xalign.compat.save_directory import LOCK_FILE, remove_empty_save_dir
from fairseq_xalign.compat.settings import check_batch_size, check_precision, keep_bf16_on_the_gpu
from fairseq_xalign.compat.stopping import end_training_well
from fairseq_xalign.compat.stopping_state import keep_stopping_state
from fairseq_xalign.compat.user_directory import complete_user_directory, register

__all__ = [
    "DEBUG_VARIABLE",
    "HYDRA_WARNINGS",
    "LOCK_FILE",
    "TEMPORARY_SUFFIX",
    "allow_broadcast_classes",
    "allow_checkpoint_classes",
    "apply",
    "block_repeated_ngrams",
    "check_batch_size",
    "check_precision",
    "complete_user_directory",
    "end_training_well",
    "keep_bf16_on_the_gpu",
    "keep_existing_paths_whole",
    "keep_stopping_state",
    "last_good_checkpoint",
    "register",
    "remove_empty_save_dir",
    "save_intervals_at_the_end_of_epochs",
    "scale_each_parameter_alone",
    "shorten_user_errors",
    "silence_hydra",
    "silence_tensorboard",
    "suggest_autocast",
    "unscale_once",
    "write_checkpoints_whole",
]
