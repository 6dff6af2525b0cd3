"""Wing: representational geometry. Knows no brain and no network."""
