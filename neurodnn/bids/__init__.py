"""BIDS: names, files and tables in; one atomic writer out. Floor 2."""

from .derivatives import (
    State,
    derivative_state,
    inherited_fields,
    is_done,
    sidecar_path,
    write_derivative,
)
from .files import Filter, find_bids_files, find_derivatives, find_sessions, find_subjects
from .files import read_sidecar
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
from .paths import bids_uri, relative_path, resolve_inside
from .tables import (
    read_json,
    read_numbers,
    read_tsv,
    require_columns,
    require_file,
    same_text,
)
from .writing import WriteError, remove_leftovers, sha256_file, write_atomic, write_together

__all__ = [
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
    "derivative_state",
    "find_bids_files",
    "find_derivatives",
    "find_sessions",
    "find_subjects",
    "inherited_fields",
    "is_done",
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
    "write_atomic",
    "write_derivative",
    "write_together",
]
