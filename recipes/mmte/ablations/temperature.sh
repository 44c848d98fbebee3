# Section 2.2: in proportion to the corpora, T = 5, nearly uniform.
TEMPERATURES="5 1 100"
