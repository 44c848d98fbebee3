# English with 24 languages, hours on two cores: T = 5 beside T = 1 (section 2.2), bilingual models (Table 1), an MLM encoder of the
# same shape on the same text (Tables 2 to 6), two seeds.
source "$(dirname "${BASH_SOURCE[0]}")/demo.sh"
LANGUAGE_SETS="de,es,fr,it,ru,ar,hu,zh-Hans,sk,pt,cs,sv,tr,ja,lt,et,el,nl,fi,ko,pl,uk,bg,da"
TEMPERATURES="5 1"
BILINGUAL="de da"
MLM_BASELINE=1
VOCABULARY=16000
UPDATES=12000
SAVE_INTERVAL=1000
MINUTES_PER_RUN=90
