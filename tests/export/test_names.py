"""Argument names that a function can have, for input names that it cannot."""

from __future__ import annotations

import pytest

from migrate.export.names import name_all
from migrate.records import Signature, TensorSpec

pytestmark = pytest.mark.tensorflow


def _named(*inputs: str, sparse: tuple[str, ...] = ()) -> dict[str, object]:
    specs = {name: TensorSpec(f"{name}:0", "float32", (None,)) for name in inputs}
    specs |= {name: TensorSpec("", "float32", (None, 2), "coo_sparse", ("v:0", "i:0", "s:0")) for name in sparse}
    return dict(name_all(Signature("serving_default", "", specs, {})).arguments)


@pytest.mark.parametrize(
    ("inputs", "arguments"),
    [
        (("x", "y"), {"x": "x", "y": "y"}),
        (("Upper",), {"Upper": "Upper"}),
        # TensorFlow gives the arguments of a function their names in lower case.
        (("X", "x"), {"X": "X", "x": "x_"}),
        (("x", "X", "x_"), {"x": "x", "X": "X__", "x_": "x_"}),
        (("a/b", "A_b"), {"a/b": "a_b_", "A_b": "A_b"}),
        # TensorFlow gives a name of underscores alone letters, too.
        (("入力",), {"入力": "arg___"}),
        (("größe",), {"größe": "gr__e"}),
        (("class", "CLASS"), {"class": "input_class", "CLASS": "CLASS"}),
    ],
)
def test_no_two_arguments_share_a_name(inputs, arguments):
    found = _named(*inputs)
    assert found == arguments
    assert len({name.lower() for name in found.values()}) == len(inputs)


def test_a_part_of_a_sparse_input_does_not_take_a_name_in_another_case():
    found = _named("X_Indices", sparse=("x",))
    assert found["X_Indices"] == "X_Indices"
    assert found["x"]["indices"] == "x_indices_"
