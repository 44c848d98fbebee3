# make demo CONF=first: a first result within minutes on two cores: MLM and ALIGN-MLM alone, on a quarter of the speeches
# and with a fifth of the updates of the demo.
source "$(dirname "${BASH_SOURCE[0]}")/demo.sh"
OBJECTIVES="mlm align_mlm"
LINES=15000
UPDATES=600
TAG_UPDATES=200
MINUTES_PER_RUN=3
