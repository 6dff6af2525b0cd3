"""The guard of imports: which room may know which. A forbidden arrow or a circle fails."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "neurodnn"

# room -> rooms of the house that it may import (itself always)
ALLOWED = {
    "_checks": set(),
    "numerics": {"_checks"},
    "stimuli": {"_checks", "bids"},
    "bids": {"_checks"},
    "rsa": {"_checks", "numerics", "bids", "stimuli"},
    "stats": {"_checks", "numerics"},
    "brain": {"_checks", "numerics", "bids", "stimuli"},
    "dnn": {"_checks", "numerics", "bids", "stimuli"},
    "plotting": {"_checks"},
    "workflows": {"_checks", "numerics", "bids", "stimuli", "rsa", "stats", "brain", "dnn"},
    "simulate": {"_checks", "numerics", "bids", "stimuli", "brain", "dnn"},
    "report": {"_checks", "bids", "stimuli", "plotting", "rsa", "brain"},
    "pipeline": {
        "_checks", "bids", "stimuli", "rsa", "stats", "brain", "dnn", "workflows", "report",
        "plotting",
    },
    "demo": {"_checks", "bids", "simulate", "cli", "brain"},
    "cli": {"_checks", "bids", "pipeline", "report", "workflows", "dnn", "demo", "simulate"},
    "__main__": {"cli"},
    "__init__": {"_checks"},
}  # fmt: skip

# third party -> the only rooms that may import it
THIRD_PARTY = {
    "torch": {"dnn", "simulate"},
    "torchvision": {"dnn", "simulate"},
    "nilearn": {"brain", "plotting", "simulate", "report"},
    "nibabel": {"brain", "bids", "plotting", "simulate", "report"},
    "mne": {"brain", "bids", "plotting", "simulate"},
    "rsatoolbox": {"rsa", "bids", "brain", "dnn", "simulate", "workflows", "report", "stats"},
    "numba": {"numerics"},
    "matplotlib": {"plotting", "report", "bids"},
}

REFUSED_NAMES = {"utils", "core", "base", "common", "helpers", "misc"}
HEAVY = {
    "torch", "torchvision", "nilearn", "nibabel", "mne", "rsatoolbox", "numba", "pandas",
    "xarray", "matplotlib", "scipy", "numpy", "sklearn", "joblib", "h5py",
}  # fmt: skip


def _room(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def _imports(tree: ast.AST, path: Path) -> list[str]:
    """Absolute dotted names of everything a module imports, wherever the import stands."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ["neurodnn", *path.relative_to(PACKAGE).parts[:-1]]
            if node.level:
                stem = package[: len(package) - node.level + 1]
                found.append(".".join(stem + ([node.module] if node.module else [])))
            elif node.module == "neurodnn":
                found += [f"neurodnn.{alias.name}" for alias in node.names]
            else:
                found.append(node.module or "")
    return found


def _for_types_only(tree: ast.AST, path: Path) -> set[str]:
    """What is imported under ``if TYPE_CHECKING`` alone: a name in a signature, never loaded."""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    ]
    return {name for block in blocks for name in _imports(ast.Module(block.body, []), path)}


def _arrows(path: Path, source: str | None = None) -> set[tuple[str, str]]:
    """(room, target) for each import; target is a room of the house or a third party.

    A third party's type may be named in a signature anywhere; an arrow between rooms counts
    even there, since it says who knows whom.
    """
    tree = ast.parse(path.read_text(encoding="utf-8") if source is None else source)
    named = _for_types_only(tree, path)
    arrows = set()
    for name in _imports(tree, path):
        parts = name.split(".")
        if parts[0] == "neurodnn":
            if len(parts) > 1:
                arrows.add((_room(path), parts[1]))
        elif parts[0] in THIRD_PARTY and name not in named:
            arrows.add((_room(path), parts[0]))
    return arrows


def _faults(arrows: set[tuple[str, str]]) -> list[str]:
    faults = []
    for room, target in sorted(arrows):
        if room == target or (room == "__init__"):
            continue
        if target in THIRD_PARTY:
            if room not in THIRD_PARTY[target]:
                faults.append(f"{room} imports {target}, which has no place there")
        elif target not in ALLOWED.get(room, set()) and not target.startswith("__version"):
            faults.append(f"{room} -> {target}")
    return faults


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_its_room_may_know(path):
    assert _faults(_arrows(path)) == []


def test_the_guard_sees_forbidden_arrows():
    path = PACKAGE / "rsa" / "planted.py"
    for line in (
        "from neurodnn.dnn import networks",
        "from ..brain.fmri import load_fmri_patterns",
        "import torch",
        "def f():\n    from neurodnn import cli",
    ):
        assert _faults(_arrows(path, line)), line


def test_every_room_is_in_the_table():
    assert {_room(path) for path in MODULES} <= set(ALLOWED)


def test_rooms_form_no_circle():
    arrows = {
        (room, target)
        for path in MODULES
        for room, target in _arrows(path)
        if room != target and target in ALLOWED and room != "__init__"
    }
    # cli opens the demo and the demo drives the cli: the one pair that is meant, both lazily
    arrows -= {("cli", "demo")}
    rooms = set(ALLOWED)
    while rooms:
        leaves = {room for room in rooms if not any((room, other) in arrows for other in rooms)}
        assert leaves, f"a circle among {sorted(rooms)}"
        rooms -= leaves


def test_no_module_bears_a_refused_name():
    assert not [path for path in MODULES if path.stem.lstrip("_") in REFUSED_NAMES]


@pytest.mark.parametrize("name", ["__init__.py", "cli.py", "cli/__init__.py", "_checks.py"])
def test_the_front_door_imports_nothing_heavy(name):
    path = PACKAGE / name
    if not path.exists():
        pytest.skip(f"{name} does not exist in this layout")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    assert not {found.split(".")[0] for found in _imports(top, path)} & HEAVY


def test_analyses_and_datasets_are_not_imported_and_datasets_are_text():
    root = PACKAGE.parent
    assert not list((root / "datasets").rglob("*.py"))
    for path in MODULES:
        names = _imports(ast.parse(path.read_text(encoding="utf-8")), path)
        assert not {name.split(".")[0] for name in names} & {"analyses", "datasets", "tests"}
