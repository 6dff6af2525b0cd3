"""The guard of the public face: sorted, complete, documented, lazy."""

from __future__ import annotations

import configparser
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import neurodnn

PUBLIC = [name for name in neurodnn.__all__ if name != "__version__"]
HEAVY = ("torch", "nilearn", "mne", "rsatoolbox", "numba", "pandas", "matplotlib")


def test_the_face_is_sorted_and_is_what_dir_shows():
    assert neurodnn.__all__ == sorted(neurodnn.__all__)
    assert dir(neurodnn) == neurodnn.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_loads_and_tells_what_it_does(name):
    thing = getattr(neurodnn, name)
    assert thing.__name__ == name
    doc = inspect.getdoc(thing)
    assert doc, f"{name} has no docstring"
    assert not name.startswith("test_")
    if inspect.isfunction(thing):
        assert "Parameters" in doc
        assert "Returns" in doc
        assert ">>>" in doc, f"{name} has no example"


@pytest.mark.parametrize("name", PUBLIC)
def test_options_are_keyword_only_and_few(name):
    thing = getattr(neurodnn, name)
    if not inspect.isfunction(thing):
        pytest.skip("a class")
    parameters = inspect.signature(thing).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    optional = [
        p.name
        for p in parameters
        if p.default is not inspect.Parameter.empty
        and p.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    # one optional datum may be positional (`layer_rdms(network, images, layers)`)
    assert len(optional) <= 1, optional


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean neurodnn.load_network"):
        neurodnn.load_netwrk  # noqa: B018


@pytest.mark.parametrize(
    "code",
    ["import neurodnn", "import neurodnn.cli", "import neurodnn; neurodnn.InputError"],
)
def test_import_loads_nothing_heavy(code):
    program = f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_rsa_waits_for_no_torch_and_dissection_for_no_mne():
    program = (
        "import neurodnn, sys; neurodnn.searchlight; neurodnn.compare_rdms;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_nothing_but_the_package_is_installed():
    # A top-level `datasets` on the path would shadow a well-known library of that name.
    setuptools = pytest.importorskip("setuptools")
    root = Path(neurodnn.__file__).parent.parent
    if not (root / "setup.cfg").exists():
        pytest.skip("not run from a checkout")
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    include = settings["options.packages.find"]["include"].split()
    found = setuptools.find_packages(str(root), include=include)
    assert {name.split(".")[0] for name in found} == {"neurodnn"}
    # every room with modules is found: a folder without __init__ would be left out in silence
    rooms = {path.parent.name for path in (root / "neurodnn").glob("*/*.py")}
    assert rooms <= {name.split(".")[-1] for name in found}
