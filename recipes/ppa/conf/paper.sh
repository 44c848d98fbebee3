# The paper's own values (Pan et al. 2021, section 3.1). Corpora are those of section 3.1 whose sources can be fetched.
START=bert-base-multilingual-cased
LANGUAGES="fr es de ar zh hi bg"    # section 3.1
ROWS="FULL"
ALL_ROWS="FULL NO_MOCO NO_TLM MLM"  # Table 5, with
NO_CS="fine-tuned on translations (of XNLI's training set, in FOLDER) with code-switching and, for this row, without"
CHAIN="europarl-en-fr+europarl-en-es+europarl-en-de+multiun-en-ar+multiun-en-zh+iitb-en-hi+europarl-en-bg+eubookshop-en-bg"
CRITERION=ppa                       # moco and tlm with the paper's values as defaults
OPTIONS=""
OPTIONS_NO_MOCO="--moco-weight 0"
OPTIONS_NO_TLM="--tlm-weight 0"
OPTIONS_MLM="--tlm-sides apart"
SMALLEST_OPTIONS="--moco-queue 20"
BITEXT="--least 10 --most 128"      # section 3.1: pieces on either side, and together
PAIRS=600000                        # 250,000, 600,000 or 2,000,000 per language, the first that remain
EQUAL=""                            # section 2: all pairs together
EPOCHS=10                           # 10 with 250,000 and 600,000 pairs, 5 with 2,000,000
BATCH=128
LENGTH=131                          # 128 pieces, <s> and two </s>
LEARNING_RATE=3e-5
WARMUP=0.1                          # of the iterations
WEIGHT_DECAY=0.01
TASKS="xnli"                        # Table 5. "- CS" is trained on translations without code-switching: --set TRANSLATIONS=FOLDER trains both
TASK_SETTINGS="XNLI=2 32 5e-5 1000 128;SELECT=1"
TASK_SEEDS="1"
DEVICE=gpu
JOBS_ON_GPU=1
PRECISION=bf16
MINUTES_PER_RUN=900
GIGABYTES_PER_RUN=24
MEGABYTES_PER_RUN=4000
SAVE_INTERVAL=5000
