from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.graph.protobuf_wire import messages, varint, write_varint
from migrate.graph.protos import TensorShapeProto

_NUMBERS = st.integers(0, 64).flatmap(lambda bits: st.integers(0, 2**bits - 1))
"""Numbers of every length."""
_FIELDS = st.lists(st.tuples(st.integers(1, 2**29 - 1), st.binary(max_size=150)), max_size=3)


def _written(fields: list[tuple[int, bytes]]) -> bytes:
    return b"".join(write_varint(number << 3 | 2) + write_varint(len(text)) + text for number, text in fields)


@settings(max_examples=25)
@given(_NUMBERS, st.binary(max_size=3), st.binary(max_size=3))
def test_a_number_is_read_as_it_was_written(number, before, behind):
    written = write_varint(number)
    assert varint(before + written + behind, len(before)) == (number, len(before + written))


@settings(max_examples=25)
@given(st.integers(1, 2**63 - 1))
def test_a_number_is_written_as_protobuf_writes_it(number):
    assert b"\x08" + write_varint(number) == TensorShapeProto.Dim(size=number).SerializeToString()


@settings(max_examples=25)
@given(_NUMBERS)
def test_a_number_that_is_cut_off_ends_past_the_end(number):
    written = write_varint(number)
    for end in range(len(written)):
        assert varint(written[:end], 0)[1] == end + 1


def test_a_number_of_more_than_64_bits_ends_at_a_byte_with_its_high_bit_set():
    longest = write_varint(2**64 - 1)
    assert len(longest) == 10 and longest[-1] < 0x80
    longer = b"\xff" * 10 + b"\x01"
    _, position = varint(longer, 0)
    assert position == 10 and longer[position - 1] >= 0x80


@settings(max_examples=25)
@given(_FIELDS)
def test_messages_are_read_in_their_order(fields):
    assert messages(_written(fields)) == fields


@settings(max_examples=25)
@given(_FIELDS)
def test_a_message_that_is_cut_off_raises(fields):
    ends = {len(_written(fields[:count])): count for count in range(len(fields) + 1)}
    written = _written(fields)
    for end in range(len(written) + 1):
        if end in ends:
            assert messages(written[:end]) == fields[: ends[end]]
            continue
        with pytest.raises(ValueError, match="not a message of messages and strings"):
            messages(written[:end])


@pytest.mark.parametrize("wire_type", [0, 1, 3, 4, 5, 6, 7])
def test_a_field_of_another_type_raises(wire_type):
    assert messages(b"\x0a\x01a\x12\x00") == [(1, b"a"), (2, b"")]
    with pytest.raises(ValueError, match="not a message"):
        messages(b"\x0a\x01a" + bytes([2 << 3 | wire_type]) + b"\x00" * 8)
