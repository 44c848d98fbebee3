# One GPU of the H100's class, about six minutes: the comparison of Table 3 on Trans∘Inv with the paper's dictionary (drawn at
# random) and its DICT-MLM (the input is replaced), at a two-hundredth of the paper's training tokens or less. Not the paper's:
# rotary positions, learning rate, sequences of 128, no dropout on attention weights, an output bias at unigrams, Adam's beta2.
TRANSFORMS="trans,inv"          # Table 3: where objectives differ most
OBJECTIVES="mlm xlm dict_mlm align_mlm"
SEEDS="1"
DICTIONARIES="random"           # 25 % of the vocabulary drawn at random, as the authors do
DEVICE=gpu
JOBS_ON_GPU=4                   # the four objectives at once on the one GPU

TEXTS="sotu:text.en.txt factbook:text.en.txt verses:train.en.txt"   # and the treebank's training text: 4.3M pieces
ARCH=xalign_small               # Table 10: 8 layers, 8 heads, 512
ARCH_OPTIONS="--positions rotary"
VOCABULARY=16000
LINES=10000000                  # all
VALID_LINES=500
BLOCK=128
BATCH=128
UPDATES=1500
LEARNING_RATE=8e-4
WARMUP=300
MASK=0.15                       # section 4
DICT_TARGET=input               # section 3 and the released code
PRETRAIN_OPTIONS="--unigram-bias --clip-norm 1.0 --attention-dropout 0"
TAG_UPDATES=600
TAG_LEARNING_RATE=1e-4
TAG_BATCH=32
MINUTES_PER_RUN=2
GIGABYTES_PER_RUN=4
MEGABYTES_PER_RUN=2000
