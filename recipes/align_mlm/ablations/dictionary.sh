# Tables 2 and 4 (Trans∘Inv); 5 has Trans∘Syn, which cannot be derived yet: the share of the vocabulary in the dictionary.
OBJECTIVES="dict_mlm align_mlm"
TRANSFORMS="trans,inv"
DICTIONARY_SHARES="0.25 0.5"
