# English with six languages, about 25 minutes on two cores: verses and strings of user interfaces of at most 12 English words,
# about 123,000 pairs. Long sentences, large batches and a large vocabulary teach less in that time (docs/papers/mmte.md).
LANGUAGE_SETS="de,es,fr,it,ru,ar"
ARCH=mmte_tiny
ARCH_OPTIONS="--encoder-layers 1 --dropout 0"     # with two layers, attention to the source is learned later
MOST_WORDS=12
VOCABULARY=4000
SUBWORD_OPTIONS="--character-coverage 1 --sentences 100000"
OPTIMIZER=muon
UPDATES=9000
MAX_TOKENS=800
MAX_LENGTH=64
LEARNING_RATE=4e-3
LABEL_SMOOTHING=0
WARMUP=200
SAVE_INTERVAL=1000
AVERAGE=3
TAG_UPDATES=600
TAG_LEARNING_RATE=5e-4
TAG_BATCH=32
MINUTES_PER_RUN=25
