"""What restoring the checkpoint leaves in the cells of a model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from migrate.graph.dtypes import base_name
from migrate.graph.graph import canonical, split
from migrate.graph.protos import VariableDef
from migrate.proof.identity import key_of, name_of, utf8
from migrate.proof.model import CHECKPOINT, Model
from migrate.proof.numbering import run
from migrate.proof.pair import Pair
from migrate.proof.side import VARIABLES, Cell, Side
from migrate.proof.states import content_after
from migrate.proof.terms import Term, Terms


class Contents:
    """What cells hold: a term for each cell of one model.

    Attributes:
      held: by the cell's key.
      cells: the cells, by key.
      keys: of each name in the checkpoint the key of the cell that is restored from it.
    """

    def __init__(self) -> None:
        """Begins with nothing."""
        self.held: dict[Hashable, Term] = {}
        self.cells: dict[Hashable, Cell] = {}
        self.keys: dict[str, Hashable] = {}

    def copy(self) -> Contents:
        """The same, to be changed."""
        other = Contents()
        other.held.update(self.held)
        other.cells.update(self.cells)
        other.keys.update(self.keys)
        return other

    def add(self, side: Side) -> None:
        """Adds what a call leaves in the cells that it writes."""
        for key in side.written:
            self.held[key] = content_after(side, key)
            self.cells[key] = side.cells[key]


def restored(pair: Pair, model: Model, read: dict[Term, Term]) -> Contents:
    """What the restore op leaves in each variable and table.

    Args:
      pair: both models.
      model: one of them.
      read: gets for the term of each tensor that is read the term of what the checkpoint has for it.
    """
    contents = Contents()
    saver = model.meta_graph.saver_def
    if not saver.restore_op_name:
        _restored_by_name(pair, model, contents)
        return contents
    filename = canonical(saver.filename_tensor_name)
    program = model.program({filename: CHECKPOINT})
    target = split(canonical(saver.restore_op_name))[0]
    program.target(target)
    side = model.side(program, lambda cell: nothing(pair.terms, cell))
    found: dict[Term, tuple[str, Term]] = {}
    side.restored = _reader(pair, model, found)
    run(side, is_first=True)
    read.update({term: content for term, (_, content) in found.items()})
    for key in side.written:
        contents.cells[key] = side.cells[key]
        held = content_after(side, key) if not side.fault() else side.unknown(side.fault())
        if held in found:
            name, held = found[held]
            contents.keys[name] = key
        contents.held[key] = held
    return contents


def _restored_by_name(pair: Pair, model: Model, contents: Contents) -> None:
    """As a loader restores a model without a SaverDef: the variables that are listed, by their names."""
    collection = model.meta_graph.collection_def
    if "variables" not in collection:
        return
    for serialized in collection["variables"].bytes_list.value:
        try:
            definition = VariableDef.FromString(serialized)
        except Exception:
            continue
        node = model.nodes.get(split(definition.variable_name)[0])
        if node is None or node.op not in ("Variable", "VariableV2", "VarHandleOp"):
            continue
        part = definition.save_slice_info_def
        spec = ""
        key = node.name
        if part.full_name:
            key = part.full_name
            bounds = zip(part.var_offset, part.var_shape, strict=False)
            spec = " ".join([*map(str, part.full_shape), ":".join(f"{start},{size}" for start, size in bounds)])
        kind = "resource" if node.op == "VarHandleOp" else "ref"
        cell_key = key_of(node.op, node.attr, node.name, node.name)
        found = pair.stored[model.name].content(key, spec)
        if found is not None:
            contents.held[cell_key] = pair.terms.make("stored", found)
            contents.cells[cell_key] = Cell(cell_key, kind, None, node.name)


def _reader(
    pair: Pair, model: Model, read: dict[Term, tuple[str, Term]]
) -> Callable[[Side, int, Sequence[Term]], None]:
    """Answers for the ops that read a checkpoint; says in `read` which key is behind a term, and what it holds."""
    checkpoint = pair.stored[model.name]

    def restored(side: Side, place: int, values: Sequence[Term]) -> None:
        head, more, _ = pair.terms.parts(values[0]) if values else ("", None, ())
        keys = pair.shared.texts(values[1]) if len(values) > 1 else None
        is_v2 = side.nodes[place].op == "RestoreV2"
        slices = pair.shared.texts(values[2]) if len(values) > 2 else [b""] if not is_v2 else None
        label = side.nodes[place].label
        dtypes = side.nodes[place].attr["dtypes"].list.type if is_v2 else None
        if head != "input" or more != CHECKPOINT:
            side.values[place, 0] = side.unknown(f"{label!r} reads another checkpoint than its own")
            return
        if keys is None or slices is None or len(slices) != len(keys):
            side.values[place, 0] = side.unknown(f"{label!r} takes computed names")
            return
        for number, (key, spec) in enumerate(zip(keys, slices, strict=True)):
            text, part = utf8(key), utf8(spec)
            found = checkpoint.content(text, part) if text is not None and part is not None else None
            if found is None:
                why = checkpoint.problem or f"the checkpoint has no tensor {name_of(key)!r}, or not this slice"
                side.values[place, number] = side.unknown(why)
                continue
            assert isinstance(found, tuple) and text is not None
            if dtypes is not None and not (number < len(dtypes) and base_name(dtypes[number]) == found[0]):
                # save_restore_v2_ops.cc: "expected dtype ... does not equal original dtype".
                side.values[place, number] = side.unknown(f"{label!r} reads {text!r} as another dtype than it has")
                continue
            term = pair.terms.make("read", (model.name, text, spec))
            read[term] = (text, pair.terms.make("stored", found))
            side.values[place, number] = term

    return restored


def nothing(terms: Terms, cell: Cell) -> Term:
    """What a cell holds that nothing was put into."""
    if cell.kind in VARIABLES:
        return terms.make("initial", "nothing")
    return terms.make("fresh", cell.makes)
