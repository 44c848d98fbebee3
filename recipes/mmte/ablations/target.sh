# Table 11: <2xx> in front of the source, or encoded apart from it.
TARGET_TOKENS="source separate"
