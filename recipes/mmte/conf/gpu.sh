# One GPU, about an hour: the languages of full, Transformer base, T = 5 beside T = 1, tested on NTREX-128 as well as in its domain.
source "$(dirname "${BASH_SOURCE[0]}")/full.sh"
DEVICE=gpu
ARCH=mmte_base
UPDATES=10000
MAX_TOKENS=25000
LEARNING_RATE=7e-4
WARMUP=4000
MINUTES_PER_RUN=15
GIGABYTES_PER_RUN=8
MEGABYTES_PER_RUN=4000
