# Table 7: XLM, with a share of the pieces written alike in both languages.
OBJECTIVES="xlm"
TRANSFORMS="trans,inv"
OVERLAPS="0 0.25 0.5"
