"""From a template and its content to one self-contained page, safe whatever the content says.

Everything that enters a page is escaped by Jinja; only this package's own style and script, read
from its own files, enter as they are. The page's policy allows pictures that lie in the page and
this one style and script by their hashes: nothing else can run or be loaded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from neurodnn.bids import write_atomic

_TEMPLATES = Path(__file__).parent / "templates"


def _own_file(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _environment() -> Environment:
    """Jinja with escaping set outright: it does not depend on a template's ending."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def render(template: str, content: Mapping[str, Any], *, scripts: Sequence[str] = ()) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    template : str
        File below ``templates/``.
    content : mapping
        What the template names; texts may come from anywhere.
    scripts : sequence of str
        Files below ``templates/`` that make up the page's one script, in this order.
    """
    style = _own_file("page.css")
    policy = ["default-src 'none'", "img-src data:", f"style-src {_hash(style)}"]
    given = {**content, "style": Markup(style)}
    if scripts:
        code = "".join(_own_file(name) for name in scripts)
        policy.append(f"script-src {_hash(code)}")
        given["script"] = Markup(code)
    policy += ["base-uri 'none'", "form-action 'none'"]
    given["policy"] = "; ".join(policy)
    return _environment().get_template(template).render(given)


def write_page(path: Path, html: str) -> Path:
    """Write a page whole or not at all, and return its path."""
    # a lone surrogate (a file name that is no UTF-8) must not stop the page
    write_atomic(path, html.encode("utf-8", errors="replace"))
    return path
