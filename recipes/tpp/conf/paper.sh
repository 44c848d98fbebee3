# The paper's own values (Mishra and Haghighi 2021, section 3 and appendix A), and the released code's where the paper is silent.
# Wikidata alone is over 100 GB to download: rows without it (TT, WM, ALL) do not fetch it. Not here: the paper's own tweets (NER)
# and its sentiment sets (`xalign-preprocess benchmark` reads semeval2017, abdulla2013, suzuki2019 and sail2015). The released code has an uncased mBERT, another head and
# other negatives: --set OPTIONS="--tpp-head pooler-linear --tpp-negatives corpus-either-lang".
START=bert-base-multilingual-cased  # "mBERT"; the released code: bert-base-multilingual-uncased
LANGUAGES="ar hi ja"                # section 3.1
ROWS="TT WD WM BP ALL"              # Table 3
ALL_ROWS="TT WD WM BP ALL"
CHAIN_TT="tatoeba-en-%@each"
CHAIN_WD="wikidata@each"
CHAIN_WM="wikimatrix-en-%@each"
CHAIN_BP="best@each"                # section 3.3: the best corpus, then the second best; by Table 3, NER
BEST="ar:wikimatrix-en-ar>wikidata hi:tatoeba-en-hi>wikidata ja:tatoeba-en-ja>wikimatrix-en-ja"
CHAIN_ALL="tatoeba-en-%"            # section 3.1: equally sampled
CRITERION=tpp
EPOCHS=3                            # appendix A
BATCH=16                            # appendix A; with as many negatives
LENGTH=512                          # released code
LEARNING_RATE=2e-5                  # not given; the released code has 1e-6
WARMUP=500                          # appendix A
WEIGHT_DECAY=0.01                   # appendix A
TASKS="pos"
TASK_SETTINGS="POS_TRAIN=gum pud"   # section 3.1: "the GUM + PUD subset for English"
TASK_SEEDS="1"
DEVICE=gpu
JOBS_ON_GPU=2
MINUTES_PER_RUN=120
GIGABYTES_PER_RUN=16
SAVE_INTERVAL=5000
