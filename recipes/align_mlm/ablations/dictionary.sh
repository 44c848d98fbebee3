# Tables 2 and 4 (Trans∘Inv): the share of the vocabulary in the dictionary. Table 5: the same with --set TRANSFORMS=trans,syn.
OBJECTIVES="dict_mlm align_mlm"
TRANSFORMS="trans,inv"
DICTIONARY_SHARES="0.25 0.5"
