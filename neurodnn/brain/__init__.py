"""Wing: what was measured. Knows no RDM and no network."""
