"""Reports: pages that are built from the files of an output tree and from nothing else."""

from .citations import citations, to_bibtex, to_markdown
from .index import write_index
from .subject import write_subject_report

__all__ = ["citations", "to_bibtex", "to_markdown", "write_index", "write_subject_report"]
