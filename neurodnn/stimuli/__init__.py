"""The stimulus table and its one key rule: which image a cell of an events table means.

The column that should name the image differs between MEG and fMRI of the same experiment, in
directory, extension and case. One rule per input turns a cell into a key: ``name`` (the file's
name without folder and extension, case-folded), ``path`` (relative to the stimulus folder), or
``id`` (the cell is a ``stimulus_id``).
"""

from .keys import RULES, stimulus_key
from .matching import EVENT_COLUMNS, MatchReport, match_stimuli
from .table import IMAGE_ENDINGS, read_stimuli

__all__ = [
    "EVENT_COLUMNS",
    "IMAGE_ENDINGS",
    "MatchReport",
    "RULES",
    "match_stimuli",
    "read_stimuli",
    "stimulus_key",
]
