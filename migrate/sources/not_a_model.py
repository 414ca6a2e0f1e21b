"""Files that replace a model's file by mistake: what people commit, download or copy instead of it."""

from __future__ import annotations

import re

_LFS_HEADER = b"version https://git-lfs.github.com/spec/"
"""First line of a pointer file (git-lfs, docs/spec.md)."""

_ANNEX = rb"(?:[^\n]*/)?annex/objects/\S+\s*\Z"
"""What a git-annex pointer file or link holds (git-annex.branchable.com/internals/pointer_file)."""

_REPLACEMENT = "�".encode()
_MIN_LINE_ENDS = 16
"""Fewer line ends than this may all follow a carriage return by accident."""


def describe_stray(data: bytes) -> str | None:
    """Says what a file's bytes are when they are plainly no binary file of TensorFlow's.

    Args:
      data: the whole file, or its first kilobyte or more.

    Returns:
      The rest of a sentence that starts with the file's name, with the way out, or None.

    Example:
      >>> describe_stray(b"")
      'is empty (0 bytes); copy or download it again'
      >>> describe_stray(b"PK")
    """
    if not data:
        return "is empty (0 bytes); copy or download it again"
    if data.startswith(_LFS_HEADER):
        return "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository"
    if len(data) < 1024 and re.match(_ANNEX, data):
        return "is a git-annex pointer, not the file itself; run `git annex get` in its repository"
    start = data[:1024].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "is a web page, not the file itself; download it again (the raw file, signed in where needed)"
    return None


def is_mangled_text(data: bytes) -> bool:
    """Whether a binary file went through a text conversion.

    Either invalid UTF-8 was replaced by U+FFFD (EF BF BD), which leaves a file that is valid UTF-8, or every
    line feed was given a carriage return. Both lose bytes for good.

    Args:
      data: the whole file, which could not be parsed as what it should be.

    Example:
      >>> is_mangled_text("\\ufffd".encode()), is_mangled_text(b"\\xff")
      (True, False)
    """
    line_ends = data.count(b"\n")
    if line_ends >= _MIN_LINE_ENDS and line_ends == data.count(b"\r\n"):
        return True
    if _REPLACEMENT not in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
