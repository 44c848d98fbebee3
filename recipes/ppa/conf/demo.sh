# A small English BERT, verses and strings of user interfaces, three languages of Latin script and one of another, for two cores. Settings
# fit some 13,000 pairs: a small queue, a key encoder that follows faster, projected vectors of length 1. Not the paper's: the
# encoder, the corpora, these settings, the mean over the pieces as a text's vector, the learning rate.
START="sentence-transformers/all-MiniLM-L6-v2"     # or a folder of it: --set START=FOLDER
LANGUAGES="de es fr ru"
ROWS="FULL"
ALL_ROWS="FULL NO_MOCO NO_TLM MLM"
CHAIN="ui+verses"
CRITERION=ppa
OPTIONS="--moco-queue 1024 --moco-momentum 0.99 --moco-normalize z --moco-pooling mean --moco-mask-duplicates"
OPTIONS_NO_MOCO="--moco-weight 0"
OPTIONS_NO_TLM="--tlm-weight 0"
OPTIONS_MLM="--tlm-sides apart"
SMALLEST_OPTIONS="--moco-queue 20"
MOST_WORDS=30
PAIRS=4000
UPDATES=120
BATCH=32
LEARNING_RATE=2e-4
WARMUP=20
SAVE_INTERVAL=50
TASKS="pos topics retrieval"        # retrieval: Tatoeba
TASK_SEEDS=1
TASK_SETTINGS="POS=0.5 32 1e-4 20 128;TOPICS=5 16 5e-5 50 128;TEST_LANGUAGES=de es fr ru deu_Latn spa_Latn fra_Latn rus_Cyrl;RETRIEVAL_LANGUAGES=deu spa fra rus"
