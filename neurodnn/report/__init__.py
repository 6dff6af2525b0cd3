"""Reports: pages that are built from the files of an output tree and from nothing else."""
