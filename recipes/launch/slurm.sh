#!/usr/bin/env bash
#SBATCH --job-name=xalign
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=%x-%j.log
# Run the stage of a recipe that trains on every GPU of a Slurm job: srun starts one process per GPU, and fairseq finds its rank.
#
#   sbatch --nodes 8 recipes/launch/slurm.sh recipes/mmte/run.sh --conf paper --set PREPARED=corpora --work SHARED
#
# It runs stage 3 alone: first run stages 0 to 2 with `--stop-stage 2` where there is a network, and stages 4 to 8 afterwards
# with `--stage 4`, on one GPU. SHARED is a folder that all nodes see. A job that is stopped saves a checkpoint, is queued again, and goes on.
set -euo pipefail
[ $# -gt 0 ] || { echo "slurm.sh: no recipe given; see the first lines of this file" >&2; exit 2; }
export TRAINER="${PYTHON:-python3} -m fairseq_cli.train --distributed-port ${XALIGN_PORT:-29500} \
--distributed-world-size $((SLURM_NNODES * SLURM_NTASKS_PER_NODE))"
exec srun --kill-on-bad-exit=1 bash "$@" --stage 3 --stop-stage 3
