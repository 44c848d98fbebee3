# The paper's own values (Tang et al. 2022, Appendix G, Tables 10 and 11), and the released code's where the paper is silent.
# Trans∘Syn has the order of French PUD: add "trans,syn" to TRANSFORMS, and PARSER=stanza for the paper's parser (without it, one is
# trained on the treebank of the labels). Tagging is trained on UD English EWT; entities are WikiAnn's, and pairs are trained on MultiNLI
# and tested on XNLI.
# The paper took 40 to 45 hours on 8 TPU cores for each pre-training (Appendix I). With several GPUs, fairseq-train uses all
# of them: keep batch x update frequency x GPUs at 128.
TRANSFORMS="trans,inv trans"    # Table 3
OBJECTIVES="mlm xlm dict_mlm align_mlm"
SEEDS="1"
DICTIONARIES="random"           # section 4: 25 % of the vocabulary, drawn at random
DEVICE=gpu
JOBS_ON_GPU=1

FURTHER_TASKS="ner:wikiann pairs:multinli+xnli"
TEXTS="wikitext-103:text.en.txt"  # Appendix G.1: WikiText-103's training text
ARCH=xalign_small               # Table 10: 8 layers, 8 heads, 512
VOCABULARY=40000                # Appendix G.1
MODEL_TYPE=bbpe                 # the released code: byte-level BPE
LINES=1000000000                # all
VALID_LINES=5000
BLOCK=512                       # Appendix G.3
BATCH=16
UPDATE_FREQUENCY=8              # Table 10: 128 sequences per update
UPDATES=500000                  # Table 10
LEARNING_RATE=1e-4              # Table 10
WARMUP=10000                    # Table 10
MASK=0.15                       # section 4
ADAM_BETAS="(0.9, 0.999)"       # released code
WHOLE_SENTENCES=1               # Appendix G.3 and G.4: XLM and DICT-MLM see whole sentences
DICT_TARGET=input               # section 3 and the released code
PRETRAIN_OPTIONS="--clip-norm 1.0"  # released code
SAVE_INTERVAL=5000
TAG_PRESET=align-mlm-tagging    # Table 11: 10 epochs
PAIRS_PRESET=align-mlm-xnli     # Table 11: 5 epochs
TAG_UPDATES=1000000             # no limit beside the epochs
TAG_LEARNING_RATE=2e-5          # the presets have it too
TAG_BATCH=32
TAG_WARMUP=0
MINUTES_PER_RUN=4000
GIGABYTES_PER_RUN=16
MEGABYTES_PER_RUN=4000
