# make demo: the paper's hardest pair on a laptop, 11 minutes on two cores with bfloat16, up to half an hour without.
# Encoder: 2 layers x 128, rotary positions, 30 % masking: settings that learn within minutes.
TRANSFORMS="trans,inv"          # Table 3: Trans∘Inv, where objectives differ most
OBJECTIVES="mlm xlm dict_mlm align_mlm"
SEEDS="1"
DICTIONARIES="frequent"         # which 25 % of the vocabulary: the most frequent pieces
NATURAL=""                      # no natural languages

ARCH=xalign_tiny
VOCABULARY=3000
LINES=60000                     # sentences of English for pre-training
VALID_LINES=500
BLOCK=64
BATCH=16
XLM_BLOCK=128                   # halves of 64 take 86 % of the parallel sentences; halves of 32 would take 47 %
UPDATES=3000
LEARNING_RATE=4e-3
MASK=0.3
PARALLEL_SHARES=0.25            # XLM's parallel sentences (Appendix G.3: 25 %)
DICTIONARY_SHARES=0.25          # dictionary (section 4: 25 % of the vocabulary)
DICT_TARGET=label               # DICT-MLM's label variant: the one that learns at this scale
PRETRAIN_OPTIONS="--unigram-bias"
TAG_UPDATES=600
TAG_LEARNING_RATE=5e-4
TAG_BATCH=32
