# The paper's own values (Yang et al. 2021, section 3.1). Not given there: how many pairs, the optimizer and its schedule (here AdamW with
# linear decay), how links are made symmetric (here gdfa). Chinese characters are words of their own for the aligner, as for mBERT.
START=bert-base-multilingual-cased  # "the weights released by Google"
LANGUAGES="de es zh"                # section 3.1: a model for each
ROWS="TLM WEAM WORDALIGN"           # Tables 1 and 2
ALL_ROWS="TLM WEAM WORDALIGN"
CHAIN="best@each"
BEST="de:europarl-en-de es:europarl-en-es zh:translation2019zh"
LINKS=all
LINKS_WORDALIGN=last                # the released code of Cao et al.
CRITERION=weam
OPTIONS_TLM="--criterion tlm --mask-prob 0.3 --tlm-packing pairs --tlm-positions continue"
OPTIONS_WORDALIGN="--criterion xalign --objectives wordalign"
EPOCHS=2
BATCH=32
LENGTH=128
LEARNING_RATE=5e-5
WARMUP=1000                         # not given
EQUAL=""
TASKS="xnli squad"                  # section 3.2: XNLI, and MLQA, in whose place is XQuAD: MLQA has no checksum to fetch it by (docs/questions.md)
TASK_SETTINGS="XNLI=3 32 2e-5 1000 128;SQUAD=3 32 3e-5 500 384;QUESTIONS=0;SELECT=1"    # not given in the paper; XTREME's
TASK_SEEDS="1"
DEVICE=gpu
JOBS_ON_GPU=2
MINUTES_PER_RUN=600
GIGABYTES_PER_RUN=16
SAVE_INTERVAL=5000
