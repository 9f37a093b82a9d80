"""Amharic, Tigrinya and Ge'ez text: the script, spelling, numerals, transliteration, tokens."""
