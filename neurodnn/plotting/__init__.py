"""Figures from RDMs, scores, maps and tables; knows no wing."""
