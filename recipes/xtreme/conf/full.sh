# Everything: all questions, all languages of Tatoeba, five seeds of every task, and the larger training sets. For one GPU.
source "$(dirname "${BASH_SOURCE[0]}")/demo.sh"
TASKS="pos ner nli-en nli-id qa topics intents sentiment xnli squad massive masakhaner panx arcd home-assistant retrieval"
SEEDS="1 2 3 4 5"
SEVERAL_SEEDS=$TASKS
QUESTIONS=0
RETRIEVAL_LANGUAGES=all
XNLI="2 32 3e-5 1000 128"
SQUAD="2 32 3e-5 500 384"
MASSIVE="5 32 5e-5 100 128"
MASAKHANER="5 32 5e-5 100 128"
PANX="10 32 2e-5 0 128"         # XTREME's, as the preset xtreme-tagging has them
ARCD="3 16 1e-4 30 384"         # as QA, with fewer updates of warm-up: ARCD is small
HOME_ASSISTANT="5 32 5e-5 50 128"
DEVICE=gpu
MINUTES_PER_RUN=10
