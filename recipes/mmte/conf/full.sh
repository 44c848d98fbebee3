# English with 24 languages, about three hours on two cores: T = 5 beside T = 1 (section 2.2), bilingual models (Table 1), an MLM encoder
# of the same shape on the same text (Tables 2 to 6). Sentences are those of demo; the encoder has two layers, without which MLM learns little.
source "$(dirname "${BASH_SOURCE[0]}")/demo.sh"
LANGUAGE_SETS="de,es,fr,it,ru,ar,hu,zh-Hans,sk,pt,cs,sv,tr,ja,lt,et,el,nl,fi,ko,pl,uk,bg,da"
TEMPERATURES="5 1"
BILINGUAL="de da"
BILINGUAL_UPDATES=1000          # four times as many per direction as the 48 directions of the other models have
MLM_BASELINE=1
ARCH_OPTIONS="--dropout 0"
VOCABULARY=8000
SUBWORD_OPTIONS="--character-coverage 0.9995 --sentences 100000"
UPDATES=12000
MAX_TOKENS=1000
MINUTES_PER_RUN=45
