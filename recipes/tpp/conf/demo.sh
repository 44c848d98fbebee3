# A small English BERT and two corpora that come with pip, three languages of Latin script and one of another, for two cores. Corpora take
# the parts of the paper's: strings of user interfaces (short, many) and verses. Not the paper's: the encoder, the corpora, the mean over
# the pieces as a text's vector, the hardest text of the batch as the negative, batches of 32, the learning rate. The cosine loss is one of
# the released code: with the sigmoid of the dot product, whose scale this encoder was not made for, retrieval falls in so few updates.
START="sentence-transformers/all-MiniLM-L6-v2"     # or a folder of it: --set START=FOLDER
LANGUAGES="de es fr ru"
ROWS="ALL"
ALL_ROWS="UI VERSES BP ALL"
CHAIN_ALL="ui+verses"               # both corpora, all languages together
CHAIN_UI="ui"
CHAIN_VERSES="verses"
CHAIN_BP="ui>verses"                # one after the other, each from the checkpoint before
CRITERION=tpp
OPTIONS="--tpp-head mean --tpp-loss cosine --tpp-negatives batch-hard"
MOST_WORDS=30
PAIRS=4000
UPDATES=300
BATCH=32
LEARNING_RATE=2e-4
WARMUP=30
SAVE_INTERVAL=50
TASKS="pos topics retrieval"        # retrieval: Tatoeba
TASK_SEEDS=1
TASK_SETTINGS="POS=0.5 32 1e-4 20 128;TOPICS=5 16 5e-5 50 128;TEST_LANGUAGES=de es fr ru deu_Latn spa_Latn fra_Latn rus_Cyrl;RETRIEVAL_LANGUAGES=deu spa fra rus"
