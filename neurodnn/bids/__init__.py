"""BIDS: names, files and tables in; one atomic writer out. Floor 2."""

from .derivatives import (
    State,
    content_hash,
    data_files,
    derivative_state,
    inherited_fields,
    is_done,
    sidecar_path,
    write_derivative,
)
from .description import BIDSIGNORE, dataset_description, write_description
from .files import Filter, find_bids_files, find_derivatives, read_sidecar
from .locks import lock_output
from .names import (
    LAYER_ENTITY,
    MODEL_ENTITY,
    Entities,
    bids_label,
    build_name,
    check_label,
    check_unique_labels,
    parse_name,
)
from .owners import remove_leftovers
from .paths import bids_uri, relative_path, resolve_inside, user_path
from .subjects import find_sessions, find_subjects
from .tables import read_numbers, read_tsv, require_columns
from .text import read_json, require_file, same_text
from .writing import WriteError, sha256_file, write_atomic, write_together

__all__ = [
    "BIDSIGNORE",
    "Entities",
    "Filter",
    "LAYER_ENTITY",
    "MODEL_ENTITY",
    "State",
    "WriteError",
    "bids_label",
    "bids_uri",
    "build_name",
    "check_label",
    "check_unique_labels",
    "content_hash",
    "data_files",
    "dataset_description",
    "derivative_state",
    "find_bids_files",
    "find_derivatives",
    "find_sessions",
    "find_subjects",
    "inherited_fields",
    "is_done",
    "lock_output",
    "parse_name",
    "read_json",
    "read_numbers",
    "read_sidecar",
    "read_tsv",
    "relative_path",
    "remove_leftovers",
    "require_columns",
    "require_file",
    "resolve_inside",
    "same_text",
    "sha256_file",
    "sidecar_path",
    "user_path",
    "write_atomic",
    "write_derivative",
    "write_description",
    "write_together",
]
