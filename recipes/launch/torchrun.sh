#!/usr/bin/env bash
# Run a recipe whose trainings use several GPUs of this machine, or of several machines, through torchrun.
#
#   recipes/launch/torchrun.sh --gpus 8 recipes/mmte/run.sh --conf paper ...
#   recipes/launch/torchrun.sh --gpus 8 --nodes 4 --node-rank R --master HOST:29500 recipes/mmte/run.sh --conf paper --stage 3 --stop-stage 3
#
# One machine runs every stage. On several machines, run stages 0 to 2 and 4 to 8 on one of them, and stage 3 on each, with its
# own --node-rank, from 0; --work must be a folder that all of them see.
set -euo pipefail
GPUS=8 NODES=1 NODE_RANK=0 MASTER=127.0.0.1:29500
while [ $# -gt 0 ]; do
    case "$1" in
        --gpus) GPUS=$2; shift 2 ;;
        --nodes) NODES=$2; shift 2 ;;
        --node-rank) NODE_RANK=$2; shift 2 ;;
        --master) MASTER=$2; shift 2 ;;
        -h | --help) sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit ;;
        -*) echo "torchrun.sh: unknown option $1; see --help" >&2; exit 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || { echo "torchrun.sh: no recipe given; see --help" >&2; exit 2; }
export TRAINER="${PYTHON:-python3} -m torch.distributed.run --nnodes $NODES --node-rank $NODE_RANK --nproc-per-node $GPUS \
--master-addr ${MASTER%:*} --master-port ${MASTER#*:} -m fairseq_cli.train --distributed-world-size $((NODES * GPUS))"
exec bash "$@"
