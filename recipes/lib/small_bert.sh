# What the demo configurations of ppa, tpp and weam have in common: a small English BERT, trained further for some ten minutes on two cores
# on three languages of Latin script and one of another, and what is measured before and after.
START="sentence-transformers/all-MiniLM-L6-v2"     # or a folder of it: --set START=FOLDER
LANGUAGES="de es fr ru"
MOST_WORDS=30
PAIRS=4000
BATCH=32
LEARNING_RATE=2e-4
SAVE_INTERVAL=50
RETRIEVAL_LINES=500
TASKS="pos topics retrieval"        # retrieval: Tatoeba
TASK_SEEDS=1
TASK_SETTINGS="POS=0.5 32 1e-4 20 128;TOPICS=5 16 5e-5 50 128;TEST_LANGUAGES=de es fr ru deu_Latn spa_Latn fra_Latn rus_Cyrl;RETRIEVAL_LANGUAGES=deu spa fra rus"
MINUTES_PER_RUN=20                  # of one core
