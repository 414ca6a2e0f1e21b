"""MatrixExponential, in whose place a later TensorFlow has Python code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.graph.dtypes import dtype_value
from migrate.graph.graph import attribute, control_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.loop_builder import LoopBuilder
from migrate.rewrite.new_nodes import BOOL, DOUBLE, FLOAT, INT32, INT64, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope

_REAL = {
    FLOAT: FLOAT,
    DOUBLE: DOUBLE,
    dtype_value("complex64"): FLOAT,
    dtype_value("complex128"): DOUBLE,
}
"""The dtypes that have a kernel, and that of their real part."""
_BELOW: Mapping[int, Mapping[int, float]] = {
    FLOAT: {3: 4.258730016922831e-001, 5: 1.880152677804762e000},
    DOUBLE: {3: 1.495585217958292e-002, 5: 2.539398330063230e-001, 7: 9.504178996162932e-001, 9: 2.097847961257068e000},
}
"""The degree that is taken below a norm."""
_HIGHEST: Mapping[int, tuple[int, float]] = {FLOAT: (7, 3.925724783138660), DOUBLE: (13, 5.371920351148152)}
"""The degree that is taken for all others, and the norm above which a matrix is halved."""
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
"""Those of the powers of the matrix, from the power 0, in the approximant of a degree (MatrixExponential.h)."""
_BITS: Mapping[int, tuple[int, int, int]] = {FLOAT: (INT32, 2**23, 127), DOUBLE: (INT64, 2**52, 1023)}
"""The integer of as many bits, what it is for the exponent 1, and what stands for the exponent of 1.0."""


def _exponential(node: NodeDef, scope: Scope) -> Edit | Finding:
    """The Pade approximant whose degree the norm decides, of the matrix halved s times; and that s times squared.

    core/kernels/matrix_exponential_op.cc, unsupported/Eigen/src/MatrixFunctions/MatrixExponential.h: with the largest
    sum of a column's absolute values as the norm, s = max(0, 1 + floor(log2(norm / limit))). With the parts U of odd
    and V of even powers the approximant is the solution X of (V - U) X = U + V. What has an element or a norm that is
    not finite becomes NaN.

    The first matrix is there twice: core/kernels/linalg/matmul_op_impl.h multiplies the matrices of a batch of two or
    more as the old kernel does, one after another with Eigen's product (up to 25 x 25: kMaxCostOuterParallelism), and
    a single matrix with another one, which adds in another order.
    """
    dtype = attribute(node, "T").type
    if dtype not in _REAL:
        message = (
            f"{scope.aliases.run.key}: MatrixExponential {node.name!r} is of a dtype without a kernel in TensorFlow 1"
        )
        return refusal(
            "op-without-kernel", message, (node.name,), "cast its matrix to a dtype that has one, as float32"
        )
    return _Exponential(node, scope, dtype).edit()


class _Exponential:
    """The nodes of one MatrixExponential."""

    def __init__(self, node: NodeDef, scope: Scope, dtype: int) -> None:
        self._node, self._dtype, self._real = node, dtype, _REAL[dtype]
        self._b = Builder(scope, node, T=dtype)
        self._given = self._b.value(0)
        self._beside = producer(self._given)

    def edit(self) -> Edit:
        """All of them."""
        b, real = self._b, self._real
        size = b.Shape(self._given, T=self._dtype, out_type=INT32)
        first = b.constant("axis", 0, self._beside)
        self._given = self._matrices(size, first)
        last, before = (b.constant(f"axis_{-axis}", axis, self._beside) for axis in (-1, -2))
        absolute = self._absolute()
        sums = b.Sum(absolute, before, name="sums", T=real, Tidx=INT32)
        norm = b.Max(sums, last, name="norm", T=real, Tidx=INT32)
        is_finite = b.All(b.IsFinite(sums, name="are_finite", T=real), last, name="is_finite", Tidx=INT32)
        norm = self._wide(norm, "norm", real)
        wide = self._wide(is_finite, "finite", BOOL)
        matrix = b.SelectV2(wide, self._given, b.ZerosLike(self._given, name="zeros"), name="finite")
        halvings = self._halvings(norm, wide)
        self._eye = self._unit()
        odd, even = self._parts(matrix, norm, halvings)
        sides = b.Sub(even, odd, name="denominator"), b.AddV2(odd, even, name="numerator")
        squared = self._squared(b.MatrixSolve(*sides, name="approximant"), halvings)
        found = b.SelectV2(wide, squared, self._nothing(squared, sums, last), name="exponentials")
        result = replaced(self._node, "Reshape", [self._part(found, "once", 0, -1, self._dtype), size])
        result.attr["Tshape"].type = INT32
        return b.edit(result)

    def _matrices(self, size: str, axis: str) -> str:
        """A batch of one dimension, with its first matrix again at the end. What has no two dimensions is an error."""
        b = self._b
        sizes = [
            b.Prod(self._part(size, "outer", 0, -2), axis, name="count", T=INT32, Tidx=INT32),
            self._part(size, "rows", -2, -1, is_one=True),
            self._part(size, "columns", -1, 0, is_one=True),
        ]
        self._sizes = b.node("Pack", sizes, "sizes", {"N": len(sizes), "axis": 0}, T=INT32)
        flat = b.Reshape(self._given, self._sizes, name="flat", T=self._dtype, Tshape=INT32)
        matrices = [flat, self._part(flat, "again", 0, 1, self._dtype), axis]
        return b.node("ConcatV2", matrices, "matrices", {"N": 2}, T=self._dtype, Tidx=INT32)

    def _part(self, tensor: str, name: str, start: int, stop: int, dtype: int = INT32, *, is_one: bool = False) -> str:
        """What is between two places of the first axis; or one element, which a shorter tensor does not have."""
        b = self._b
        named = (("from", start), ("to", stop), ("by", 1))
        ends = [b.constant(f"{name}_{end}", [value], self._beside) for end, value in named]
        masks = {"shrink_axis_mask": 1} if is_one else {}
        return b.node("StridedSlice", [tensor, *ends], name, masks, T=dtype, Index=INT32)

    def _nothing(self, squared: str, sums: str, last: str) -> str:
        """NaN in all elements of the matrices that are not finite: what is not finite less itself."""
        b, real = self._b, self._real
        total = self._wide(b.Sum(sums, last, name="total", T=real, Tidx=INT32), "total", real)
        nothing = b.Sub(total, total, name="nothing", T=real)
        if self._dtype != real:
            nothing = b.Cast(nothing, name="nothing_cast", SrcT=real, DstT=self._dtype)
        return b.Mul(squared, nothing, name="not_finite")

    def _absolute(self) -> str:
        if self._dtype == self._real:
            return self._b.Abs(self._given, name="absolute")
        return self._b.ComplexAbs(self._given, name="absolute", T=self._dtype, Tout=self._real)

    def _wide(self, tensor: str, name: str, dtype: int) -> str:
        """A number of each matrix, as a matrix of one element."""
        b = self._b
        for axis in (1, 2):
            last = b.constant(f"{name}_axis_{axis}", -1, self._beside)
            tensor = b.ExpandDims(tensor, last, name=f"{name}_wide_{axis}", T=dtype, Tdim=INT32)
        return tensor

    def _unit(self) -> str:
        b = self._b
        one = b.typed("one", 1.0, self._dtype, self._beside)
        rows = self._part(self._sizes, "diagonal", 1, 2)
        return b.MatrixDiag(b.Fill(rows, one, name="ones", T=self._dtype, index_type=INT32), name="unit")

    def _number(self, value: int, name: str) -> str:
        b = self._b
        made = b.constant(name, value, self._beside, dtype=INT64)
        made = b.Cast(made, name=f"{name}_real", SrcT=INT64, DstT=self._real)
        if self._dtype == self._real:
            return made
        return b.Cast(made, name=f"{name}_cast", SrcT=self._real, DstT=self._dtype)

    def _halvings(self, norm: str, is_finite: str) -> str:
        """How often each matrix is halved: the exponent of norm / limit, as std::frexp has it."""
        b, real = self._b, self._real
        bits, step, middle = _BITS[real]
        limit = b.constant("limit", _HIGHEST[real][1], self._beside, dtype=real)
        share = b.Bitcast(b.RealDiv(norm, limit, name="share", T=real), name="share_bits", T=real, type=bits)
        one = b.constant("exponent_unit", step, self._beside, dtype=bits)
        exponent = b.FloorDiv(share, one, name="share_exponent", T=bits)
        exponent = b.Sub(
            exponent, b.constant("exponent_half", middle - 1, self._beside, dtype=bits), name="power", T=bits
        )
        zero = b.constant("no_power", 0, self._beside, dtype=bits)
        kept = b.SelectV2(is_finite, exponent, zero, name="finite_power", T=bits)
        halvings = b.Maximum(kept, zero, name="halvings", T=bits)
        highest = list(_BELOW[real].values())[-1]
        is_low = b.Less(norm, b.constant("high_norm", highest, self._beside, dtype=real), name="is_low", T=real)
        return b.SelectV2(is_low, zero, halvings, name="some_halvings", T=bits)

    def _halved(self, matrix: str, halvings: str) -> str:
        """The matrix times 2**-halvings, in two steps: one power of two for all would be no normal number."""
        b, real = self._b, self._real
        bits, step, middle = _BITS[real]
        two = b.constant("two", 2, self._beside, dtype=bits)
        first = b.FloorDiv(halvings, two, name="halvings_1", T=bits)
        parts = {"halved": matrix}
        if self._dtype != real:  # A product of complex numbers would lose the sign of a zero.
            parts = {op.lower(): getattr(b, op)(matrix, T=self._dtype, Tout=real) for op in ("Real", "Imag")}
        for number, count in enumerate((first, b.Sub(halvings, first, name="halvings_2", T=bits))):
            exponent = b.Sub(
                b.constant(f"middle_{number}", middle, self._beside, dtype=bits),
                count,
                name=f"exponent_{number}",
                T=bits,
            )
            one = b.constant(f"exponent_one_{number}", step, self._beside, dtype=bits)
            power = b.Bitcast(
                b.Mul(exponent, one, name=f"power_bits_{number}", T=bits), name=f"power_{number}", T=bits, type=real
            )
            parts = {name: b.Mul(part, power, name=f"{name}_{number}", T=real) for name, part in parts.items()}
        if self._dtype == real:
            return parts["halved"]
        return b.Complex(*parts.values(), name="halved", T=real, Tout=self._dtype)

    def _parts(self, matrix: str, norm: str, halvings: str) -> tuple[str, str]:
        """The odd and the even part of the approximant of each matrix."""
        b, real = self._b, self._real
        odd, even = self._approximant(_HIGHEST[real][0], self._halved(matrix, halvings))
        for degree, limit in sorted(_BELOW[real].items(), reverse=True):
            others = self._approximant(degree, matrix)
            most = b.constant(f"limit_{degree}", limit, self._beside, dtype=real)
            is_below = b.Less(norm, most, name=f"is_below_{degree}", T=real)
            odd, even = (
                b.SelectV2(is_below, one, other, name=f"{name}_to_{degree}")
                for name, one, other in zip(("odd", "even"), others, (odd, even), strict=True)
            )
        return odd, even

    def _approximant(self, degree: int, matrix: str) -> tuple[str, str]:
        b = self._b
        powers = [self._eye, self._product(matrix, matrix, f"power_2_of_{degree}")]
        for half in range(2, min(4, (degree + 1) // 2) if degree > 9 else (degree + 1) // 2):
            powers.append(self._product(powers[half - 1], powers[1], f"power_{2 * half}_of_{degree}"))

        def summed(name: str, terms: Mapping[int, int]) -> str:
            total = ""
            for half, weight in terms.items():
                place = f"{name}_{weight}_of_{degree}"
                value = _WEIGHTS[degree][weight]
                term = (
                    powers[half]
                    if value == 1
                    else b.Mul(self._number(value, place), powers[half], name=f"{place}_term")
                )
                total = b.AddV2(total, term, name=f"{place}_sum") if total else term
            return total

        if degree < _HIGHEST[DOUBLE][0]:
            places = range((degree - 1) // 2, -1, -1)
            odd, even = (
                summed(name, {half: 2 * half + first for half in places}) for name, first in (("odd", 1), ("even", 0))
            )
        else:
            odd, even = (
                b.AddV2(
                    self._product(powers[3], high, f"{name}_high_product"),
                    summed(name, {half: 2 * half + first for half in (3, 2, 1, 0)}),
                    name=f"{name}_both",
                )
                for name, first, high in (
                    ("odd", 1, summed("odd_high", {3: 13, 2: 11, 1: 9})),
                    ("even", 0, summed("even_high", {3: 12, 2: 10, 1: 8})),
                )
            )
        return self._product(matrix, odd, f"odd_of_{degree}"), even

    def _product(self, one: str, other: str, name: str) -> str:
        return self._b.BatchMatMulV2(one, other, name=name)

    def _squared(self, matrix: str, halvings: str) -> str:
        """Each matrix as often squared as it was halved, transposed: Eigen has the squares column by column."""
        b = self._b
        bits = _BITS[self._real][0]
        every = b.constant("every", [-1], self._beside)
        flat = b.Reshape(halvings, every, name="halvings_flat", T=bits, Tshape=INT32)
        zero = b.constant("first_square", 0, self._beside, dtype=bits)
        most = b.Max(flat, b.constant("along", [0], self._beside), name="most_halvings", T=bits, Tidx=INT32)
        loop = LoopBuilder(b, f"{self._node.name}/squares", [f"^{name}" for name in control_inputs(self._node)])
        fixed = loop.constants({"halvings": (halvings, bits), "most": (most, bits)})
        turned = b.constant("turned", [0, 2, 1], self._beside)
        matrix = b.Transpose(matrix, turned, name="transposed", T=self._dtype, Tperm=INT32)
        merged = loop.merged({"step": (zero, bits), "matrix": (matrix, self._dtype)})
        now = loop.inside(b.Less(merged["step"], fixed["most"], name="is_left", T=bits))
        step, found = now["step"], now["matrix"]
        is_left = b.Less(step, fixed["halvings"], name="is_halved", T=bits)
        square = self._product(found, found, "square")
        after = {
            "step": b.AddV2(step, b.constant("next_square", 1, step, dtype=bits), name="step_next", T=bits),
            "matrix": b.SelectV2(is_left, square, found, name="matrix_next"),
        }
        return b.Transpose(loop.left(after)["matrix"], turned, name="squared", T=self._dtype, Tperm=INT32)


EXPONENTIAL = Rule("exponential", {"MatrixExponential": Op()}, _exponential)
