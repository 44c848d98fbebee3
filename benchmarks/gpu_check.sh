#!/usr/bin/env bash
# What a GPU must show, in one go and within eight minutes: the CUDA tests, training and resuming in every precision,
# throughput with its peers, and the trainer's rate. Prints one table; --json FILE writes all figures.
#
#   benchmarks/gpu_check.sh [--json FILE] [--device cpu --small]
#
# --device cpu --small tries the script itself in a minute or two, on any machine; its figures mean nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python3}" benchmarks/gpu/check.py "$@"
