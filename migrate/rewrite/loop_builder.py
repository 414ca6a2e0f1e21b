"""A loop of v1 control flow, node by node, for the rules that need one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import new_node


class LoopBuilder:
    """A loop in the frame of the nodes that it takes its first values from.

    Begin with `constants`, then `merged`, the condition of the merged values to `inside`, and `left` at the end.
    """

    def __init__(self, b: Builder, frame: str, controls: Sequence[str]) -> None:
        """Begins a loop.

        Args:
          b: collects the nodes.
          frame: name of the loop's frame.
          controls: control inputs (`^node`) of what enters it.
        """
        self._b, self._frame, self._controls = b, frame, controls
        self._dtypes: dict[str, int] = {}
        self._merges: dict[str, str] = {}
        self._switches: dict[str, str] = {}

    def _enter(self, name: str, tensor: str, dtype: int, *, is_constant: bool) -> str:
        made = new_node("Enter", self._b.name(f"{name}_enter"), [tensor, *self._controls], T=dtype)
        made.attr["frame_name"].s = self._frame.encode()
        made.attr["is_constant"].b = is_constant
        made.attr["parallel_iterations"].i = 32
        return self._b.add(made)

    def constants(self, tensors: Mapping[str, tuple[str, int]]) -> dict[str, str]:
        """Tensors of the loop that stay the same, of tensors and their dtypes."""
        return {name: self._enter(f"fixed_{name}", *given, is_constant=True) for name, given in tensors.items()}

    def merged(self, first: Mapping[str, tuple[str, int]]) -> Mapping[str, str]:
        """What the condition looks at, of what the first iteration begins with and the dtypes."""
        for name, (tensor, dtype) in first.items():
            self._dtypes[name] = dtype
            entered = self._enter(name, tensor, dtype, is_constant=False)
            both = [entered, self._b.name(f"{name}_again")]
            self._merges[name] = self._b.node("Merge", both, f"{name}_merge", {"N": 2}, T=dtype)
        return self._merges

    def inside(self, condition: str) -> dict[str, str]:
        """What an iteration begins with, if the condition holds."""
        b = self._b
        going = b.LoopCond(condition, name="going")
        b.nodes[-1].attr.clear()
        for name, dtype in self._dtypes.items():
            self._switches[name] = b.Switch(self._merges[name], going, name=f"{name}_switch", T=dtype)
        return {n: b.Identity(f"{s}:1", name=f"{n}_now", T=self._dtypes[n]) for n, s in self._switches.items()}

    def left(self, after: Mapping[str, str]) -> dict[str, str]:
        """What the last iteration ends with, of what each ends with."""
        for name, tensor in after.items():
            self._b.NextIteration(tensor, name=f"{name}_again", T=self._dtypes[name])
        return {n: self._b.Exit(s, name=f"{n}_exit", T=self._dtypes[n]) for n, s in self._switches.items()}
