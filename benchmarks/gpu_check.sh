#!/usr/bin/env bash
# Check a GPU: run the tests that need one, measure throughput of MLM, of translation and of fine-tuning against other
# libraries, where a step's time goes and the speed of fairseq-train, then train and resume in every precision, and four times
# the same. Fine-tuning takes the package accelerate, and is left out without it. Prints each result as it comes, and one table at the end; --json FILE writes all figures.
#
#   benchmarks/gpu_check.sh [--only STEP,...] [--data FOLDER] [--json FILE] [--device cpu --small]
#
# --device cpu --small only tries the script, in a minute or two and on any machine; its figures mean nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python3}" benchmarks/gpu/check.py "$@"
