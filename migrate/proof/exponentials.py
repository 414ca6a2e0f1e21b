"""MatrixExponential, in terms of ops that TensorFlow 2 has (matrix_exponential_op.cc, Eigen's MatrixExponential.h).

The largest sum of a column's absolute values is a matrix's norm; it decides of which degree the Pade approximant is,
and how often the matrix is halved before and the result squared after. With the parts U of odd and V of even powers
the approximant is the solution X of (V - U) X = U + V. What is not finite becomes NaN.

The ops that stand here round products of float32 as the kernel does up to 25 x 25, and otherwise in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, FLOAT, INT32, INT64, Parts, Tensor, dtypes
from migrate.proof.program import Flat

_DOUBLE = dtype_value("float64")
_REAL = {FLOAT: FLOAT, _DOUBLE: _DOUBLE, dtype_value("complex64"): FLOAT, dtype_value("complex128"): _DOUBLE}
_NAMES = {FLOAT: "float32", _DOUBLE: "float64", INT32: "int32", INT64: "int64"}
_LIMITS: Mapping[int, Sequence[tuple[int, float]]] = {
    FLOAT: ((3, 4.258730016922831e-001), (5, 1.880152677804762e000), (7, 3.925724783138660)),
    _DOUBLE: (
        *((3, 1.495585217958292e-002), (5, 2.539398330063230e-001), (7, 9.504178996162932e-001)),
        *((9, 2.097847961257068e000), (13, 5.371920351148152)),
    ),
}
"""Degrees, and the norm below which each is taken; above the last one a matrix is halved."""
_WEIGHTS: Mapping[int, Sequence[int]] = {
    3: (120, 60, 12, 1),
    5: (30240, 15120, 3360, 420, 30, 1),
    7: (17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1),
    9: (17643225600, 8821612800, 2075673600, 302702400, 30270240, 2162160, 110880, 3960, 90, 1),
    13: (
        *(64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600),
        *(670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1),
    ),
}
"""Of the powers from 0 on, by degree: `matrix_exp_pade3` to `matrix_exp_pade13`."""
_EXPONENTS: Mapping[int, tuple[int, int, int]] = {FLOAT: (INT32, 1 << 23, 127), _DOUBLE: (INT64, 1 << 52, 1023)}
"""The integer of as many bits, the exponent 1 in it, and the exponent of 1.0 (IEEE 754)."""


def exponential(parts: Parts) -> Flat:
    """What stands for a MatrixExponential."""
    dtype = parts.node.attr["T"].type if "T" in parts.node.attr else 0
    if len(parts.node.data) != 1 or dtype not in _REAL:
        return parts.unknown("takes other inputs than it has, or a dtype without a kernel")
    return _Exponential(parts, dtype).result()


class _Exponential:
    """A batch of matrices."""

    def __init__(self, parts: Parts, dtype: int) -> None:
        self.parts, self.dtype, self.real = parts, dtype, _REAL[dtype]
        self.given = parts.node.data[0]
        self.bits, self.unit_bits, self.middle = _EXPONENTS[self.real]

    def op(self, op: str, *taken: Tensor, **types: int) -> Tensor:
        """An op of the matrices' dtype, where nothing else is said."""
        return self.parts.op(op, op.lower(), taken, (), **(types or {"T": self.dtype}))

    def several(self, op: str, taken: Sequence[Tensor], attr: Mapping[str, int], **types: int) -> Tensor:
        numbers = {key: AttrValue(i=value) for key, value in attr.items()}
        return self.parts.add(op, op.lower(), taken, {**dtypes(types), **numbers}), 0

    def number(self, value: float, dtype: int = INT32) -> Tensor:
        return self.parts.constant(f"n{value}", constants.made(_NAMES[dtype], value), self.given)

    def vector(self, *values: int) -> Tensor:
        return self.parts.constant(f"v{values}", constants.int32s(*values), self.given)

    def bit(self, op: str, one: Tensor, other: Tensor) -> Tensor:
        """An op of two integers with the bits of a real number."""
        return self.op(op, one, other, T=self.bits)

    def part(self, tensor: Tensor, start: int, stop: int, dtype: int = INT32, *, is_one: bool = False) -> Tensor:
        """Some of the first axis, or one of it as a scalar."""
        ends = [self.vector(value) for value in (start, stop, 1)]
        return self.several("StridedSlice", [tensor, *ends], {"shrink_axis_mask": int(is_one)}, T=dtype, Index=INT32)

    def wide(self, tensor: Tensor, dtype: int) -> Tensor:
        """A number of each matrix, as a matrix of one element."""
        for _ in range(2):
            tensor = self.op("ExpandDims", tensor, self.number(-1), T=dtype, Tdim=INT32)
        return tensor

    def product(self, one: Tensor, other: Tensor) -> Tensor:
        return self.op("BatchMatMulV2", one, other)

    def result(self) -> Flat:
        """The exponentials, in the shape of what is given."""
        parts, dtype, real = self.parts, self.dtype, self.real
        shape = self.op("Shape", self.given, T=dtype, out_type=INT32)
        count = self.op("Prod", self.part(shape, 0, -2), self.number(0), T=INT32, Tidx=INT32)
        lengths = [self.part(shape, start, start + 1 if start < -1 else 0, is_one=True) for start in (-2, -1)]
        sizes = self.several("Pack", [count, *lengths], {"N": 3, "axis": 0}, T=INT32)
        flat = self.op("Reshape", self.given, sizes, T=dtype, Tshape=INT32)
        # A batch of two or more is multiplied as the kernel does it (linalg/matmul_op_impl.h), so one is there twice.
        both = [flat, self.part(flat, 0, 1, dtype), self.number(0)]
        matrices = self.several("ConcatV2", both, {"N": 2}, T=dtype, Tidx=INT32)
        absolute = self.op("Abs", matrices) if dtype == real else self.op("ComplexAbs", matrices, T=dtype, Tout=real)
        sums = self.op("Sum", absolute, self.number(-2), T=real, Tidx=INT32)
        norm = self.wide(self.op("Max", sums, self.number(-1), T=real, Tidx=INT32), real)
        finite = self.op("All", self.op("IsFinite", sums, T=real), self.number(-1), Tidx=INT32)
        finite = self.wide(finite, BOOL)
        matrix = self.op("SelectV2", finite, matrices, self.op("ZerosLike", matrices))
        halvings = self.halvings(norm, finite)
        one = parts.constant("one", constants.made("float32", 1.0), self.given)
        one = one if dtype == FLOAT else self.op("Cast", one, SrcT=FLOAT, DstT=dtype)
        diagonal = self.op("Fill", self.part(sizes, 1, 2), one, T=dtype, index_type=INT32)
        odd, even = self.approximant(matrix, norm, halvings, self.op("MatrixDiag", diagonal))
        solved = self.op("MatrixSolve", self.op("Sub", even, odd), self.op("AddV2", odd, even))
        squared = self.squared(solved, halvings)
        total = self.wide(self.op("Sum", sums, self.number(-1), T=real, Tidx=INT32), real)
        nothing = self.op("Sub", total, total, T=real)
        if dtype != real:
            nothing = self.op("Cast", nothing, SrcT=real, DstT=dtype)
        found = self.op("SelectV2", finite, squared, self.op("Mul", squared, nothing))
        once = self.part(found, 0, -1, dtype)
        return parts.made("Reshape", "", [once, shape], dtypes({"T": dtype, "Tshape": INT32}), parts.node.controls)

    def halvings(self, norm: Tensor, finite: Tensor) -> Tensor:
        """The exponent of norm / limit, as std::frexp has it, if it is above zero."""
        limits = _LIMITS[self.real]
        share = self.op("RealDiv", norm, self.number(limits[-1][1], self.real), T=self.real)
        share = self.op("Bitcast", share, T=self.real, type=self.bits)
        exponent = self.bit("FloorDiv", share, self.number(self.unit_bits, self.bits))
        exponent = self.bit("Sub", exponent, self.number(self.middle - 1, self.bits))
        zero = self.number(0, self.bits)
        kept = self.op("SelectV2", finite, exponent, zero, T=self.bits)
        is_low = self.op("Less", norm, self.number(limits[-2][1], self.real), T=self.real)
        return self.op("SelectV2", is_low, zero, self.bit("Maximum", kept, zero), T=self.bits)

    def halved(self, matrix: Tensor, halvings: Tensor) -> Tensor:
        """The matrix times 2**-halvings, in two steps: one power of two for all might be no normal number."""
        real = self.real
        first = self.bit("FloorDiv", halvings, self.number(2, self.bits))
        sides = [matrix]
        if self.dtype != real:
            sides = [self.op(op, matrix, T=self.dtype, Tout=real) for op in ("Real", "Imag")]
        for count in (first, self.bit("Sub", halvings, first)):
            exponent = self.bit("Sub", self.number(self.middle, self.bits), count)
            power = self.bit("Mul", exponent, self.number(self.unit_bits, self.bits))
            power = self.op("Bitcast", power, T=self.bits, type=real)
            sides = [self.op("Mul", side, power, T=real) for side in sides]
        return sides[0] if self.dtype == real else self.op("Complex", *sides, T=real, Tout=self.dtype)

    def approximant(self, matrix: Tensor, norm: Tensor, halvings: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        """U and V of each matrix."""
        *lower, (highest, _) = _LIMITS[self.real]
        odd, even = self.of_degree(highest, self.halved(matrix, halvings), unit)
        for degree, limit in reversed(lower):
            others = self.of_degree(degree, matrix, unit)
            is_below = self.op("Less", norm, self.number(limit, self.real), T=self.real)
            odd, even = (self.op("SelectV2", is_below, *pair) for pair in zip(others, (odd, even), strict=True))
        return odd, even

    def of_degree(self, degree: int, matrix: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        """U and V of all, in a degree."""
        powers = [unit, self.product(matrix, matrix)]
        while len(powers) < (4 if degree == 13 else (degree + 1) // 2):
            powers.append(self.product(powers[-1], powers[1]))

        def weighted(halves: Sequence[int], first: int) -> Tensor:
            """A sum of even powers, of which each has the weight of one that is higher by `first`."""
            total: Tensor | None = None
            for half in halves:
                weight = _WEIGHTS[degree][2 * half + first]
                term = powers[half] if weight == 1 else self.op("Mul", self.weight(weight), powers[half])
                total = term if total is None else self.op("AddV2", total, term)
            assert total is not None
            return total

        if degree < 13:
            halves = range((degree - 1) // 2, -1, -1)
            odd, even = (weighted(halves, first) for first in (1, 0))
        else:
            odd, even = (
                self.op("AddV2", self.product(powers[3], weighted((3, 2, 1), 6 + first)), weighted((3, 2, 1, 0), first))
                for first in (1, 0)
            )
        return self.product(matrix, odd), even

    def weight(self, value: int) -> Tensor:
        made = self.op("Cast", self.number(value, INT64), SrcT=INT64, DstT=self.real)
        return made if self.dtype == self.real else self.op("Cast", made, SrcT=self.real, DstT=self.dtype)

    def squared(self, matrix: Tensor, halvings: Tensor) -> Tensor:
        """Each matrix as often squared as it was halved; transposed, since Eigen has matrices column by column."""
        parts, waits = self.parts, self.parts.node.controls
        flat = self.op("Reshape", halvings, self.vector(-1), T=self.bits, Tshape=INT32)
        most = self.op("Max", flat, self.vector(0), T=self.bits, Tidx=INT32)
        turned = self.vector(0, 2, 1)
        matrix = self.op("Transpose", matrix, turned, T=self.dtype, Tperm=INT32)

        def entered(tensor: Tensor, dtype: int, *, stays: bool) -> Tensor:
            return parts.enter("squares", tensor, dtype, waits, is_constant=stays)

        halvings, most = (entered(each, self.bits, stays=True) for each in (halvings, most))
        state = ((self.number(0, self.bits), self.bits), (matrix, self.dtype))
        attr = {"N": AttrValue(i=2)}
        merges = [
            parts.add("Merge", "merge", [entered(first, dtype, stays=False)], {**dtypes({"T": dtype}), **attr})
            for first, dtype in state
        ]
        going = parts.op("LoopCond", "going", [self.bit("Less", (merges[0], 0), most)])
        switches = [
            parts.add("Switch", "switch", [(merge, 0), going], dtypes({"T": dtype}))
            for merge, (_, dtype) in zip(merges, state, strict=True)
        ]
        step, now = (
            self.op("Identity", (switch, 1), T=dtype) for switch, (_, dtype) in zip(switches, state, strict=True)
        )
        is_left = self.bit("Less", step, halvings)
        one = parts.constant("one", constants.made(_NAMES[self.bits], 1), step)
        after = self.bit("AddV2", step, one), self.op("SelectV2", is_left, self.product(now, now), now)
        for merge, tensor, (_, dtype) in zip(merges, after, state, strict=True):
            parts.extend(merge, self.op("NextIteration", tensor, T=dtype))
        left = self.op("Exit", (switches[1], 0))
        return self.op("Transpose", left, turned, T=self.dtype, Tperm=INT32)


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {"MatrixExponential": exponential}
"""The op -> what its kernel does."""
