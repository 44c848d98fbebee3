# Appendix G.5: the weight of the alignment loss.
OBJECTIVES="align_mlm"
TRANSFORMS="trans,inv"
ALPHAS="1 10 100"
