"""Keeps flags, paths and codes whole on the documentation's site: a browser would break `--jobs` behind its dashes.

A hook of MkDocs.
"""

from __future__ import annotations

import re
from typing import Any

_LONGEST = 32
"""Characters that fit into a line on a phone."""
_CODE = re.compile(r"(?<!<pre>)<code>([^<]+)</code>")
_WORD = re.compile(r"\S*[^\w\s]\S*")
"""A word at some character of which a browser breaks the line."""


def on_page_content(html: str, **_: Any) -> str:
    """The HTML of a page in which no short word of inline code is broken.

    Example:
      >>> on_page_content("<code>rm --all</code>, <code>jobs</code>")
      '<code>rm <span style="white-space: nowrap">--all</span></code>, <code>jobs</code>'
    """
    return _CODE.sub(lambda code: f"<code>{_WORD.sub(_whole, code[1])}</code>", html)


def _whole(word: re.Match[str]) -> str:
    return word[0] if len(word[0]) > _LONGEST else f'<span style="white-space: nowrap">{word[0]}</span>'
