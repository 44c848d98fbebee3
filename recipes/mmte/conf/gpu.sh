# One GPU, about an hour: the languages of full in sentences of any length, Transformer base, T = 5 beside T = 1, tested on NTREX-128 as
# well as in its domain.
source "$(dirname "${BASH_SOURCE[0]}")/full.sh"
DEVICE=gpu
ARCH=mmte_base
ARCH_OPTIONS=""
MOST_WORDS=""
VOCABULARY=16000
OPTIMIZER=adamw
UPDATES=10000
BILINGUAL_UPDATES=""
MAX_TOKENS=25000
MAX_LENGTH=128
LEARNING_RATE=7e-4
WARMUP=4000
LABEL_SMOOTHING=0.1
SAVE_INTERVAL=2000
AVERAGE=5
MINUTES_PER_RUN=15
GIGABYTES_PER_RUN=8
MEGABYTES_PER_RUN=4000
