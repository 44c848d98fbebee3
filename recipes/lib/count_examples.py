"""Print how many examples one pass of a fine-tuning has, as --batch-size counts them, for the options of fairseq-train.

A line of a training set is not always one example: a long context is several sequences, what cannot be learned is left
out, and two code-switched texts count as one.
"""

from __future__ import annotations

import sys

from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf


def main() -> None:
    parser = options.get_training_parser()
    args = options.parse_args_and_arch(parser, ["--optimizer", "adamw", *sys.argv[1:]])
    utils.import_user_module(args)
    cfg = convert_namespace_to_omegaconf(args)
    task = tasks.setup_task(cfg.task)
    task.build_model(cfg.model)  # how many positions the encoder has
    task.load_dataset("train")
    print(sum(len(stream) for stream in task.datasets["train"].streams))


if __name__ == "__main__":
    main()
