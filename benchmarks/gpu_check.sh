#!/usr/bin/env bash
# Check a GPU within eight minutes: run the CUDA tests, train and resume in every precision, and measure throughput against
# other libraries and the speed of fairseq-train. Prints one table; --json FILE writes all figures.
#
#   benchmarks/gpu_check.sh [--json FILE] [--device cpu --small]
#
# --device cpu --small only tries the script, in a minute or two and on any machine; its figures mean nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python3}" benchmarks/gpu/check.py "$@"
