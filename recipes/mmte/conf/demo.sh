# English with six languages, about 20 minutes on two cores: verses and strings of user interfaces, 290,000 pairs.
LANGUAGE_SETS="de,es,fr,it,ru,ar"
ARCH=mmte_tiny
VOCABULARY=8000
SUBWORD_OPTIONS="--character-coverage 0.9995 --sentences 100000"
UPDATES=3000
MAX_TOKENS=3000
LEARNING_RATE=3e-3
WARMUP=300
SAVE_INTERVAL=300
TAG_UPDATES=600
TAG_LEARNING_RATE=5e-4
TAG_BATCH=32
MINUTES_PER_RUN=18
