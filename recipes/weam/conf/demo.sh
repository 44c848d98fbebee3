# A small English BERT and two corpora that come with pip, three languages of Latin script and one of another, for two cores. Not the
# paper's: the encoder, whose MLM head starts fresh (it has none), the corpora, the learning rate, one model of all languages.
START="sentence-transformers/all-MiniLM-L6-v2"     # or a folder of it: --set START=FOLDER
LANGUAGES="de es fr ru"
ROWS="WEAM"
ALL_ROWS="TLM WEAM WORDALIGN ALIGN"
CHAIN="ui+verses"                   # both corpora, all languages together
LINKS=all                           # which pieces of linked words are linked
DICTIONARY=mean                     # for ALIGN: words of several pieces are the mean of their embeddings
CRITERION=weam
OPTIONS_TLM="--criterion tlm --mask-prob 0.3 --tlm-packing pairs --tlm-positions continue"
OPTIONS_WORDALIGN="--criterion xalign --objectives wordalign"
OPTIONS_ALIGN="--criterion xalign --objectives tlm,align:10 --tlm-sides apart --mask-prob 0.15"     # ALIGN-MLM on the sides of pairs
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
