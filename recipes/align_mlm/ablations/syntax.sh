# Tables 3 and 5: Trans∘Syn, English in the order of French (extra syntax, for a parser of the text; PARSER=stanza for the paper's).
TRANSFORMS="trans,syn"
