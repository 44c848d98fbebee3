# The paper's own values (Yang et al. 2021, section 3.1). Not given there: how many pairs, the optimizer and its schedule (here AdamW with
# linear decay), how links are made symmetric (here gdfa). Chinese characters are words of their own for the aligner, as for mBERT.
START=bert-base-multilingual-cased  # "the weights released by Google"
LANGUAGES="de es zh"                # section 3.1: a model for each
ROWS="TLM WEAM WORDALIGN"           # Tables 1 and 2
CHAIN="best@each"
BEST="de:europarl-en-de es:europarl-en-es zh:translation2019zh"
LINKS=all
CRITERION=weam
OPTIONS_TLM="--criterion tlm --mask-prob 0.3 --tlm-packing pairs --tlm-positions continue"
OPTIONS_WORDALIGN="--criterion xalign --objectives wordalign"
EPOCHS=2
BATCH=32
LENGTH=128
LEARNING_RATE=5e-5
WARMUP=1000                         # not given
EQUAL=""
TASKS="pos"                         # the paper: MLQA and XNLI, see docs/questions.md and docs/pairs.md
TASK_SEEDS="1"
DEVICE=gpu
JOBS_ON_GPU=2
MINUTES_PER_RUN=600
GIGABYTES_PER_RUN=16
SAVE_INTERVAL=5000
