"""Submit the stage of a recipe that trains to Slurm, through submitit: one process per GPU on several nodes.

Example:
  python recipes/launch/submitit_train.py --nodes 8 -- recipes/mmte/run.sh --conf paper --set PREPARED=DIR --work SHARED

The job is queued again when it is stopped, and goes on from its last checkpoint. Stages 0 to 2 come before it
(`--stop-stage 2`), stages 4 to 8 after it (`--stage 4`). --dry-run prints what it would run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path


class Stage:
    """What every process of the job runs: the recipe's training, whose rank fairseq reads from Slurm's variables."""

    def __init__(self, recipe: list[str], port: int, world: int) -> None:
        self.recipe, self.port, self.world = recipe, port, world

    @property
    def trainer(self) -> str:
        """What starts training in a recipe."""
        options = f"--distributed-port {self.port} --distributed-world-size {self.world}"
        return f"{sys.executable} -m fairseq_cli.train {options}"

    @property
    def command(self) -> list[str]:
        """The recipe's stage of training."""
        return ["bash", *self.recipe, "--stage", "3", "--stop-stage", "3"]

    def __call__(self) -> None:
        environment = {**os.environ, "TRAINER": self.trainer, "PYTHON": sys.executable}
        subprocess.run(self.command, env=environment, check=True)

    def checkpoint(self):
        """Queue the same stage again; training resumes by itself."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1, help="Number of nodes (default: %(default)s).")
    parser.add_argument("--gpus", type=int, default=8, help="GPUs per node (default: %(default)s).")
    parser.add_argument("--hours", type=int, default=72, help="Time limit (default: %(default)s).")
    parser.add_argument("--partition", help="Slurm's partition.")
    parser.add_argument("--port", type=int, default=29500, help="Port of the first process (default: %(default)s).")
    parser.add_argument("--log", type=Path, default=Path("submitit"), help="Folder of logs (default: %(default)s).")
    parser.add_argument("--dry-run", action="store_true", help="Print what would be run.")
    parser.add_argument("recipe", nargs="+", help="The recipe and its options, after --.")
    args = parser.parse_args(argv)
    stage = Stage(args.recipe, args.port, args.nodes * args.gpus)
    if args.dry_run:
        print(f"TRAINER={shlex.quote(stage.trainer)} {shlex.join(stage.command)}")
        return 0
    try:
        import submitit
    except ImportError:
        raise SystemExit("submitit is missing: pip install submitit (the extra 'cluster')") from None
    executor = submitit.AutoExecutor(folder=args.log, cluster="slurm")
    executor.update_parameters(
        name="xalign", nodes=args.nodes, tasks_per_node=args.gpus, gpus_per_node=args.gpus, cpus_per_task=8,
        timeout_min=60 * args.hours, **({"slurm_partition": args.partition} if args.partition else {}),
    )  # fmt: skip
    job = executor.submit(stage)
    print(f"job {job.job_id}; its logs are in {args.log}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
