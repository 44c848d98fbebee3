# A small English BERT and two corpora that come with pip, three languages of Latin script and one of another, for two cores. Not the
# paper's: the encoder, whose MLM head starts fresh (it has none), the corpora, the learning rate, one model of all languages.
source "$(dirname "${BASH_SOURCE[0]}")/../../lib/small_bert.sh"
ROWS="WEAM"
ALL_ROWS="TLM WEAM WORDALIGN ALIGN"
CHAIN="ui+verses"                   # both corpora, all languages together
LINKS=all                           # which pieces of linked words are linked
LINKS_WORDALIGN=last                # the released code of Cao et al.
DICTIONARY=mean                     # for ALIGN: words of several pieces are the mean of their embeddings
CRITERION=weam
OPTIONS_TLM="--criterion tlm --mask-prob 0.3 --tlm-packing pairs --tlm-positions continue"
OPTIONS_WORDALIGN="--criterion xalign --objectives wordalign"
OPTIONS_ALIGN="--criterion xalign --objectives tlm,align:10 --tlm-sides apart --mask-prob 0.15"     # ALIGN-MLM on the sides of pairs
UPDATES=120
WARMUP=20
