# make demo CONF=full: the demo's tables of docs/results.md; about two hours on two cores.
# Adds Trans, a second seed, the dictionary drawn at random beside the frequent one, and natural languages.
source "$(dirname "${BASH_SOURCE[0]}")/demo.sh"
TRANSFORMS="trans,inv trans"
SEEDS="1 2"
DICTIONARIES="frequent random"
NATURAL="de es"
NATURAL_VOCABULARY=8000         # joint pieces of English and the other language
