"""A loop of v1 control flow, node by node, for the rules that need one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from migrate.frozen import frozen
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import new_node


@frozen
class LoopForm:
    """What the nodes of a loop are called, and how many of its iterations may run at once.

    Attributes:
      prefix: begins all names.
      fixed: follows it in the names of what stays the same.
      back: ends the names of what goes into the next iteration.
      parallel: iterations that may run side by side.
    """

    prefix: str = ""
    fixed: str = "fixed_"
    back: str = "again"
    parallel: int = 32


LONG = LoopForm()
SHORT = LoopForm(fixed="", back="next", parallel=10)
"""Of loops in which nothing that stays has the name of a part of the state."""


class LoopBuilder:
    """A loop in the frame of the nodes that it takes its first values from.

    Begin with `constants`, then `merged`, the condition of the merged values to `inside`, and `left` at the end.
    """

    def __init__(self, b: Builder, frame: str, controls: Sequence[str], form: LoopForm = LONG) -> None:
        """Begins a loop.

        Args:
          b: collects the nodes.
          frame: name of the loop's frame.
          controls: control inputs (`^node`) of what enters it.
          form: names of its nodes.
        """
        self._b, self._frame, self._controls, self._form = b, frame, controls, form
        self._dtypes: dict[str, int] = {}
        self._merges: dict[str, str] = {}
        self._switches: dict[str, str] = {}

    def _enter(self, name: str, tensor: str, dtype: int, *, is_constant: bool) -> str:
        made = new_node("Enter", self._b.name(f"{self._form.prefix}{name}_enter"), [tensor, *self._controls], T=dtype)
        made.attr["frame_name"].s = self._frame.encode()
        made.attr["is_constant"].b = is_constant
        made.attr["parallel_iterations"].i = self._form.parallel
        return self._b.add(made)

    def constants(self, tensors: Mapping[str, tuple[str, int]]) -> dict[str, str]:
        """Tensors of the loop that stay the same, of tensors and their dtypes."""
        return {
            name: self._enter(f"{self._form.fixed}{name}", *given, is_constant=True) for name, given in tensors.items()
        }

    def merged(self, first: Mapping[str, tuple[str, int]]) -> Mapping[str, str]:
        """What the condition looks at, of what the first iteration begins with and the dtypes."""
        for name, (tensor, dtype) in first.items():
            self._dtypes[name] = dtype
            entered = self._enter(name, tensor, dtype, is_constant=False)
            name_of = f"{self._form.prefix}{name}"
            both = [entered, self._b.name(f"{name_of}_{self._form.back}")]
            self._merges[name] = self._b.node("Merge", both, f"{name_of}_merge", {"N": 2}, T=dtype)
        return self._merges

    def inside(self, condition: str) -> dict[str, str]:
        """What an iteration begins with, if the condition holds."""
        b, prefix = self._b, self._form.prefix
        going = b.LoopCond(condition, name=f"{prefix}going")
        b.nodes[-1].attr.clear()
        for name, dtype in self._dtypes.items():
            self._switches[name] = b.Switch(self._merges[name], going, name=f"{prefix}{name}_switch", T=dtype)
        return {n: b.Identity(f"{s}:1", name=f"{prefix}{n}_now", T=self._dtypes[n]) for n, s in self._switches.items()}

    def left(self, after: Mapping[str, str], wanted: Collection[str] = ()) -> dict[str, str]:
        """What the last iteration ends with, of what each ends with.

        Args:
          after: the tensors that go into the next iteration.
          wanted: parts of the state; empty for all.
        """
        b, prefix = self._b, self._form.prefix
        for name, tensor in after.items():
            b.NextIteration(tensor, name=f"{prefix}{name}_{self._form.back}", T=self._dtypes[name])
        return {
            n: b.Exit(self._switches[n], name=f"{prefix}{n}_exit", T=self._dtypes[n]) for n in wanted or self._switches
        }
