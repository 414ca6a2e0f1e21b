"""Where names are broken on the documentation's site. A hook of MkDocs.

A browser breaks `--jobs` behind its dashes, and the theme lets it break any other name in the middle of a word, so that
a table shrinks a column of names to a few characters. On a phone a table of flags has no room for two columns.
"""

from __future__ import annotations

import re
from typing import Any

_LONGEST = 32
"""Characters that fit into a line on a phone."""
_SHORT = 20
"""Characters of a name that is never broken: a cell of a table has room for it."""
_CODE = re.compile(r"<code>([^<\n]+)</code>")
_FLAG = re.compile(rf"--.{{1,{_LONGEST}}}")
_FLAG_IN_COMMAND = re.compile(rf"(?<= )(--\S{{1,{_LONGEST}}})(?!\S)")
_UNBROKEN = r'<span style="white-space: nowrap">\1</span>'
_SEPARATOR = re.compile(r"(?<=[^_/.,:=\[])([_/.,:=\[]+)(?=[^_/.,:=\[])")
"""What separates the words of a name: it may be broken behind them."""
_BREAK = r"\1<wbr>"
_FLAGS_TABLE = re.compile(r"<table>(?=\s*<thead>\s*<tr>\s*<th>flag</th>)")
_STYLE = (
    "<style>@media (max-width: 44em) {"
    " .md-typeset table[data-flags] thead { display: none }"
    " .md-typeset table[data-flags] :is(tbody, tr, td) { display: block }"
    " .md-typeset table[data-flags] td + td { border-top: 0; padding-top: 0 }"
    " .md-typeset table[data-flags] td:empty { display: none }"
    " .md-typeset table[data-flags] td:nth-child(3)::before { content: 'default: ' }"
    " }</style>\n"
)


def on_page_content(html: str, **_: Any) -> str:
    """The HTML of a page in which no flag is broken, and other names only between their words.

    Example:
      >>> on_page_content("<code>--jobs</code>, <code>two words</code>")
      '<code style="white-space: nowrap">--jobs</code>, <code>two words</code>'
      >>> on_page_content("<code>tests/product/test_site.py</code>")
      '<code style="word-break: normal">tests/<wbr>product/<wbr>test_<wbr>site.<wbr>py</code>'
    """
    html, tables = _FLAGS_TABLE.subn("<table data-flags>", _CODE.sub(_code, html))
    return _STYLE + html if tables else html


def _code(found: re.Match[str]) -> str:
    # GitHub needs the backslash of `a\|b` in a table; Python-Markdown shows it.
    name = found[1].replace("\\|", "|")
    if _FLAG.fullmatch(name):
        return f'<code style="white-space: nowrap">{name}</code>'
    if " " in name:
        return f"<code>{_FLAG_IN_COMMAND.sub(_UNBROKEN, name)}</code>"
    broken = name if len(name) <= _SHORT else _SEPARATOR.sub(_BREAK, name)
    return f'<code style="word-break: normal">{broken}</code>'
