"""The flag `--signature`: as the user gives it, and as audit proposes it.

NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0;method=tensorflow/serving/predict
"""

from __future__ import annotations

from migrate.errors import UsageError
from migrate.records import GivenSignature

_FORM = "NAME:inputs=a=x:0,b=y:0;outputs=scores=s:0"
_PREDICT = "tensorflow/serving/predict"


def parse_signature(text: str) -> GivenSignature:
    """Reads one value of the flag.

    A tensor name without `:0` means output 0; a tensor without a name of its own is called like its node.

    Raises:
      UsageError: it is none, or names something twice; the message shows the form.
    """
    key, colon, rest = text.partition(":")
    sections: dict[str, str] = {}
    for section in filter(None, rest.split(";")):
        name, equals, value = section.partition("=")
        if not equals or name not in ("inputs", "outputs", "method") or name in sections:
            raise UsageError(f"--signature={text!r}: {section!r} is not understood; write {_FORM}")
        sections[name] = value
    if not key or not colon or "outputs" not in sections:
        raise UsageError(f"--signature={text!r}: has no {'outputs' if key else 'name'}; write {_FORM}")
    return GivenSignature(
        key,
        _pairs(text, sections.get("inputs", "")),
        _pairs(text, sections["outputs"]),
        sections.get("method", _PREDICT),
    )


def _pairs(text: str, section: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for part in filter(None, section.split(",")):
        name, equals, tensor = part.partition("=")
        if not equals:
            name, tensor = part.partition(":")[0].rsplit("/", 1)[-1], part
        node, colon, output = tensor.partition(":")
        if not name or not node or (colon and not output.isdigit()):
            raise UsageError(f"--signature={text!r}: {part!r} names no tensor; write {_FORM}")
        if name in found:
            raise UsageError(f"--signature={text!r}: the name {name!r} stands there twice; write {_FORM}")
        found[name] = f"{node}:{output or 0}"
    return tuple(found.items())


def as_flag(signature: GivenSignature) -> str:
    """What `parse_signature` reads."""
    sections = [
        f"{name}={','.join(f'{alias}={tensor}' for alias, tensor in pairs)}"
        for name, pairs in (("inputs", signature.inputs), ("outputs", signature.outputs))
        if pairs
    ]
    if signature.method_name != _PREDICT:
        sections.append(f"method={signature.method_name}")
    return f"{signature.key}:{';'.join(sections)}"
