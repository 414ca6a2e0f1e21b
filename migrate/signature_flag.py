r"""The flag `--signature`: as the user gives it, and as audit proposes it.

NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0;method=tensorflow/serving/predict

A backslash before one of \ , = ; : takes it as a part of a name; \xHH, \uHHHH and \UHHHHHHHH are characters by their
number. Names are the model's, so a flag that is shown has every character in this form that is not known to be harmless
in a terminal and in a shell.
"""

from __future__ import annotations

import re

from migrate.errors import UsageError
from migrate.escapes import quoted
from migrate.given import GivenSignature

_FORM = "NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0"
_PREDICT = "tensorflow/serving/predict"
_HARMLESS = frozenset("_./-+@>")
"""What may be in a shown flag unquoted, beside letters and digits."""
_MARKS = ",=;:\\"
_TOKEN = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[,=;:\\])|[^\\]"


def parse_signature(text: str) -> GivenSignature:
    """Reads one value of the flag.

    A tensor name without `:0` means output 0; a tensor without a name of its own is called like its node.

    Raises:
      UsageError: it is none, or names something twice; the message shows the form.

    Example:
      >>> parse_signature("predict:inputs=x;outputs=y=Softmax").outputs
      (('y', 'Softmax:0'),)
    """
    return _Parser(text).signature()


class _Parser:
    """Reads one value of the flag. Its parts are lists of tokens, a token being a character or an escape."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = re.findall(_TOKEN, text, re.DOTALL)
        if "".join(self._tokens) != text:
            raise self._error(r"has a backslash that escapes nothing; write \\ for a backslash")

    def signature(self) -> GivenSignature:
        """The signature."""
        key, _, rest = _partition(self._tokens, ":")
        sections: dict[str, list[str]] = {}
        for section in filter(None, _split(rest, ";")):
            name, equals, value = _partition(section, "=")
            word = _plain(name)
            if not equals or word not in ("inputs", "outputs", "method") or word in sections:
                raise self._error(f"{''.join(section)!r} is not understood; write {_FORM}")
            sections[word] = value
        if not key:
            raise self._error(f"has no name; write {_FORM}")
        outputs = self._pairs(sections.get("outputs", []))
        if not outputs:
            raise self._error(f"has no outputs; write {_FORM}")
        return GivenSignature(
            _plain(key),
            self._pairs(sections.get("inputs", [])),
            outputs,
            _plain(sections["method"]) if "method" in sections else _PREDICT,
        )

    def _pairs(self, section: list[str]) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        for part in filter(None, _split(section, ",")):
            alias, equals, tensor = _partition(part, "=")
            if not equals:
                alias, tensor = _last_part(_partition(part, ":")[0]), part
            node, colon, output = _partition(tensor, ":")
            number = "".join(output)
            name = _plain(alias)
            if not name or not node or (colon and not (number.isascii() and number.isdigit())):
                raise self._error(f"{''.join(part)!r} names no tensor; write {_FORM}")
            if name in found:
                raise self._error(f"the name {name!r} is given twice; write {_FORM}")
            found[name] = f"{_plain(node)}:{number or 0}"
        return tuple(found.items())

    def _error(self, what: str) -> UsageError:
        return UsageError(f"--signature={self._text!r}: {what}")


def _partition(tokens: list[str], mark: str) -> tuple[list[str], bool, list[str]]:
    """`str.partition` at the first mark that is not escaped."""
    if mark not in tokens:
        return tokens, False, []
    place = tokens.index(mark)
    return tokens[:place], True, tokens[place + 1 :]


def _split(tokens: list[str], mark: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token == mark:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _last_part(tokens: list[str]) -> list[str]:
    """What follows the last slash."""
    return _split(tokens, "/")[-1]


def _plain(tokens: list[str]) -> str:
    return "".join(token if len(token) == 1 else _meant(token) for token in tokens)


def _meant(escape: str) -> str:
    if escape[1] in _MARKS:
        return escape[1]
    number = int(escape[2:], 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def as_flag(signature: GivenSignature) -> str:
    """What `parse_signature` reads, in characters that a terminal shows and a shell takes as they are.

    Example:
      >>> as_flag(parse_signature("predict:inputs=x;outputs=y=Softmax"))
      'predict:inputs=x=x:0;outputs=y=Softmax:0'
    """
    sections = [
        f"{name}={','.join(f'{_escaped(alias)}={_tensor(tensor)}' for alias, tensor in pairs)}"
        for name, pairs in (("inputs", signature.inputs), ("outputs", signature.outputs))
        if pairs
    ]
    if signature.method_name != _PREDICT:
        sections.append(f"method={_escaped(signature.method_name)}")
    return f"{_escaped(signature.key)}:{';'.join(sections)}"


def to_copy(signature: GivenSignature) -> str:
    """The whole flag, to be copied into a shell."""
    return f"--signature={quoted(as_flag(signature))}"


def _tensor(tensor: str) -> str:
    node, _, output = tensor.rpartition(":")
    return f"{_escaped(node)}:{output}"


def _escaped(name: str) -> str:
    return "".join(char if char.isalnum() or char in _HARMLESS else _escape(char) for char in name)


def _escape(char: str) -> str:
    number = ord(char)
    if char in _MARKS:
        return f"\\{char}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
