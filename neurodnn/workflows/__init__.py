"""The verbs of a scientist: one story a file, where the wings meet; no arithmetic here."""
