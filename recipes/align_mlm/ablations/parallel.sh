# Tables 1 and 6: XLM's parallel sentences for each monolingual one, beside ALIGN-MLM, which uses none.
OBJECTIVES="xlm align_mlm"
TRANSFORMS="trans,inv"
PARALLEL_SHARES="0.01 0.1 0.25 1"
