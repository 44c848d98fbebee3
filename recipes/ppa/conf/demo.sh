# A small English BERT, verses and strings of user interfaces, three languages of Latin script and one of another, for two cores. Settings
# fit some 13,000 pairs: a small queue, a key encoder that follows faster, projected vectors of length 1. Not the paper's: the
# encoder, the corpora, these settings, the mean over the pieces as a text's vector, the learning rate.
source "$(dirname "${BASH_SOURCE[0]}")/../../lib/small_bert.sh"
ROWS="FULL"
ALL_ROWS="FULL NO_MOCO NO_TLM MLM"
CHAIN="ui+verses"
CRITERION=ppa
OPTIONS="--moco-queue 1024 --moco-momentum 0.99 --moco-normalize z --moco-pooling mean --moco-mask-duplicates"
OPTIONS_NO_MOCO="--moco-weight 0"
OPTIONS_NO_TLM="--tlm-weight 0"
OPTIONS_MLM="--tlm-sides apart"
SMALLEST_OPTIONS="--moco-queue 20"
UPDATES=120
WARMUP=20
