"""Wing: the network and its images. Knows no brain and no RDM."""
