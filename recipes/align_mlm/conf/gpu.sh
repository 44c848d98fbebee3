# What about an hour of one GPU of the H100's class can show: Table 3's comparison on all three transformations, with parts of
# speech, entities (UNER English EWT) and inference (CAD-NLI), the paper's dictionary (drawn at random) and its DICT-MLM (the
# input is replaced), at less than a hundredth of the paper's training tokens. Not the paper's: rotary positions, learning rate,
# sequences of 128, no dropout on attention weights, an output bias at unigrams, Adam's beta2.
#
# In pieces, so that any short use of a GPU advances it: repeat  timeout 600 recipes/align_mlm/run.sh --conf gpu  until it says
# "done". What is done is skipped, and training that is stopped writes a checkpoint first. Stages 0 to 3 need no GPU:
# recipes/align_mlm/run.sh --conf gpu --stop-stage 3  makes the texts beforehand, without a time limit. Parsing the text for
# Trans∘Syn is their longest part, and begins again where it is stopped.
#
# The hour is arithmetic: the pre-trainings of one group of four (Trans∘Inv, seed 1) took about 380 s at once on one H100, of
# which 70 s were compiling. Six fine-tunings of 500 updates for each of the four, which were not measured, are about as many
# updates again, in smaller batches and without compiling: 600 s per group, and there are six groups.
TRANSFORMS="trans,inv trans trans,syn"  # Table 3
OBJECTIVES="mlm xlm dict_mlm align_mlm"
SEEDS="1 2"
DICTIONARIES="random"           # 25 % of the vocabulary drawn at random, as the authors do
FURTHER_TASKS="ner:uner-english-ewt pairs:cad-nli"  # the former has no training split: nine tenths of its development set are
                                # learned from, and one tenth is validated on
DEVICE=gpu
JOBS_ON_GPU=4                   # the four objectives at once on the one GPU

TEXTS="sotu:text.en.txt factbook:text.en.txt verses:train.en.txt wikitext-103:text.en.txt"  # and the treebank's training text
ARCH=xalign_small               # Table 10: 8 layers, 8 heads, 512
ARCH_OPTIONS="--positions rotary"
VOCABULARY=16000
LINES=200000                    # of four million with WikiText-103, spread evenly; all 119,000 without it
VALID_LINES=500
BLOCK=128
BATCH=128
UPDATES=3700
LEARNING_RATE=8e-4
WARMUP=300
MASK=0.15                       # section 4
DICT_TARGET=input               # section 3 and the released code
PRETRAIN_OPTIONS="--unigram-bias --clip-norm 1.0 --attention-dropout 0"
SAVE_INTERVAL=500               # about 40 s: what a machine that is switched off loses; a checkpoint takes 2 to 3 s
TAG_UPDATES=500
TAG_LEARNING_RATE=1e-4
TAG_BATCH=32
KEEP_CHECKPOINTS=""
MINUTES_PER_RUN=10              # four at once
GIGABYTES_PER_RUN=4
MEGABYTES_PER_RUN=800
