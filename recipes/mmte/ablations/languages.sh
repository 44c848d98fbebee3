# Table 10: the same languages, alone or among more.
LANGUAGE_SETS="$LANGUAGE_SETS de,es de,es,fr,it"
