"""Keeps flags whole on the documentation's site: a browser would break `--jobs` behind its dashes. A hook of MkDocs."""

from __future__ import annotations

import re
from typing import Any

_LONGEST = 32
"""Characters that fit into a line on a phone."""
_FLAG = re.compile(rf"<code>(--[^<]{{1,{_LONGEST}}})</code>")


def on_page_content(html: str, **_: Any) -> str:
    """The HTML of a page in which no flag is broken.

    Example:
      >>> on_page_content("<code>--jobs</code>, <code>jobs</code>")
      '<code style="white-space: nowrap">--jobs</code>, <code>jobs</code>'
    """
    return _FLAG.sub(r'<code style="white-space: nowrap">\1</code>', html)
