"""Mutants of what makes a conversion: each a fault in rewrite, plan or export, put in while a model is converted."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Callable

import pytest

from migrate.export import direct, graph_job, module, patch, values, weights
from migrate.graph.protos import NodeDef, SavedModel
from migrate.plan import plan as planning
from migrate.plan import restore, signatures, training
from migrate.plan.records import PlanOptions
from migrate.proof.prove import Asked, Files, prove
from migrate.proof.records import NotProved, Proof, Proved, ProvedUnordered
from migrate.records import Failed, Kind
from migrate.rewrite import aliases, constants, engine, fold, scope
from migrate.rewrite.new_nodes import DT_RESOURCE, new_node
from migrate.rewrite.rules import variables
from migrate.rewrite.rules.table import TABLE
from migrate.sources.read import opened, read_source
from migrate.sources.source import choose_meta_graph, training_meta_graph

Patch = pytest.MonkeyPatch
Mutate = Callable[[Patch], None]

MUTANTS: dict[str, Mutate] = {}
"""By name: what is wrong."""


def _mutant(function: Mutate) -> Mutate:
    MUTANTS[function.__name__] = function
    return function


class NotConvertedError(Exception):
    """The conversion ends without a new model."""


def convert(source: str, directory: pathlib.Path, tags: frozenset[str] | None, options: PlanOptions) -> Proof:
    """Converts a model in this process without verification, and proves what was made.

    Raises:
      NotConvertedError: there is no new model.
    """
    with opened(source) as place:
        read = read_source(place, source)
        graph = choose_meta_graph(read, tags)
        train = training_meta_graph(read, graph)
        options = dataclasses.replace(options, is_hub_module=read.kind is Kind.TF1_HUB_MODULE)
        plan = planning.make_plan(graph, train, options)
        if plan.refused:
            raise NotConvertedError("; ".join(finding.message for finding in plan.findings))
        prefix = graph_job.checkpoint_in(str(directory))
        taken = weights.take_over(plan, read.checkpoint or "", str(directory / "taken"), "copy", False)
        job = graph_job.ExportJob(plan, read.checkpoint, read.assets_dir, str(directory), taken.taken, {}, "digest")
        for result in (weights.run(taken.job), graph_job.run(job)):
            if isinstance(result, Failed):
                raise NotConvertedError(result.reason)
            if isinstance(result, graph_job.Exported):
                weights.put(taken, prefix, result.data_files)
        new = SavedModel.FromString((directory / "saved_model.pb").read_bytes()).meta_graphs[0]
        # The proof trusts neither the plan nor the graph that planning has seen.
        files = Files(read.checkpoint, read.assets_dir, read.boundary)
        again = choose_meta_graph(read_source(place, source), tags)
        return prove(again, files, new, str(directory), Asked({}, train=train))


def fingerprint(directory: pathlib.Path) -> str:
    """A digest of a conversion, in which the numbers do not count that a process gives to functions."""
    meta_graph = SavedModel.FromString((directory / "saved_model.pb").read_bytes()).meta_graphs[0]
    functions = meta_graph.object_graph_def.concrete_functions
    parts = sorted(_plain(str(function)) for function in meta_graph.graph_def.library.function)
    parts += sorted(_plain(f"{name}\n{function}") for name, function in functions.items())
    meta_graph.graph_def.library.Clear()
    functions.clear()
    digest = hashlib.sha256("\n".join([_plain(str(meta_graph)), *parts]).encode())
    for file in sorted(directory.glob("variables/*.data-*")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _plain(text: str) -> str:
    numbered = re.sub(r'^(__inference_\S+)_\d+$|_\d+(?=")', r"\1_N", text, flags=re.MULTILINE)
    return re.sub(r's: "\d+"', 's: "N"', numbered)


def results(proof: Proof) -> dict[str, int]:
    """How much is shown of each thing, by name: 2 where it is proved, 1 where TF1 leaves it open, 0 for nothing."""
    found: dict[str, object] = {f"{k.signature}/{k.output}": v for k, v in proof.outputs.items()}
    found |= {f"after {key}": result for key, result in proof.effects.items()}
    found |= {f"variable {name}": result for name, result in proof.variables.items()}
    found |= {f"loss {name}": result for name, result in proof.losses.items()}
    found |= {f"call {k.signature}/{k.output}": v for k, v in proof.calls.items()}
    found["loading"] = proof.loading if not proof.problem else NotProved("", "", proof.problem)
    return {name: _SHOWN[type(result)] for name, result in found.items()}


_SHOWN: dict[type, int] = {Proved: 2, ProvedUnordered: 1, NotProved: 0}


def lost(before: Proof, after: Proof) -> list[str]:
    """What is proved of the one and not of the other."""
    left = results(after)
    # A call that is not proved is listed, one that is proved need not be.
    here = [
        name for name, good in results(before).items() if good > left.get(name, 2 if name.startswith("call ") else 0)
    ]
    return here + [name for name, good in left.items() if not good and name not in results(before)]


# Order: rewrite/scope.py, rewrite/aliases.py, rewrite/engine.py.
@_mutant
def a_read_waits_for_nothing(patch: Patch) -> None:
    real = scope.Scope.read
    patch.setattr(scope.Scope, "read", lambda self, tensor, share, prefix, waits: real(self, tensor, share, prefix, ()))


@_mutant
def a_read_drops_one_control_edge(patch: Patch) -> None:
    real = scope.Scope.read

    def read(self, tensor, share, prefix, waits):
        return real(self, tensor, share, prefix, list(waits)[1:])

    patch.setattr(scope.Scope, "read", read)


@_mutant
def a_handle_does_not_wait_for_its_write(patch: Patch) -> None:
    def carrier(self: scope.Scope, node: NodeDef, handle: str) -> NodeDef:
        return new_node("Identity", self.unique(f"{node.name}/ref"), [scope.as_input(handle)], T=DT_RESOURCE)

    patch.setattr(scope.Scope, "carrier", carrier)


@_mutant
def a_fetched_variable_is_read_before_the_call_ends(patch: Patch) -> None:
    patch.setattr(aliases.Aliases, "last_writes", lambda self, share: ())


@_mutant
def one_read_serves_all(patch: Patch) -> None:
    patch.setattr(aliases.Aliases, "is_written", lambda self, share: not share.dtype)


@_mutant
def a_fetch_takes_its_neighbour(patch: Patch) -> None:
    real = engine._rewritten

    def rewritten(run, ref_ops, table):
        made = real(run, ref_ops, table)
        if not isinstance(made, engine.Rewritten) or len(made.fetches) < 2:
            return made
        keys = list(made.fetches)
        return dataclasses.replace(
            made, fetches=dict(zip(keys, [*map(made.fetches.get, keys[1:]), made.fetches[keys[0]]], strict=False))
        )

    patch.setattr(engine, "_rewritten", rewritten)


# Ops: rewrite/rules.
def _twin(patch: Patch, rule: object, op: str, **fields: object) -> None:
    known = dataclasses.replace(TABLE.ops[op], **fields)
    patch.setitem(TABLE.ops, op, known)
    patch.setitem(rule.ops, op, known)


@_mutant
def an_addition_becomes_a_subtraction(patch: Patch) -> None:
    _twin(patch, variables.WRITE, "AssignAdd", twin="AssignSubVariableOp")


@_mutant
def a_subtraction_becomes_an_addition(patch: Patch) -> None:
    _twin(patch, variables.WRITE, "AssignSub", twin="AssignAddVariableOp")


@_mutant
def an_assignment_becomes_an_addition(patch: Patch) -> None:
    def change(made: NodeDef) -> None:
        if made.op == "AssignVariableOp" and made.attr["dtype"].type in (1, 2, 3, 9):
            made.op = "AssignAddVariableOp"
            del made.attr["validate_shape"]

    _each_write(patch, change)


@_mutant
def a_write_loses_its_attributes(patch: Patch) -> None:
    def change(made: NodeDef) -> None:
        for key in ("use_nesterov", "use_locking", "validate_shape"):
            if key in made.attr:
                made.attr[key].b = not made.attr[key].b

    _each_write(patch, change)


@_mutant
def an_optimizer_takes_two_slots_for_each_other(patch: Patch) -> None:
    _each_write(patch, lambda made: _swap_inputs(made, "ResourceApplyAdam", 1, 2))


@_mutant
def an_update_takes_another_operand(patch: Patch) -> None:
    _each_write(patch, lambda made: _swap_inputs(made, "ResourceApplyAdam", 6, 7))


@_mutant
def a_write_takes_what_it_writes(patch: Patch) -> None:
    """An update that is lost: a variable is assigned what it holds."""
    real = variables._write

    def write(node, edit_scope):
        edit = real(node, edit_scope)
        made = next((made for made in edit.nodes if made.op.startswith("Assign")), None)
        if made is None:
            return edit
        read = new_node("ReadVariableOp", f"{made.name}/again", [made.input[0]], dtype=made.attr["dtype"].type)
        made.op = "AssignVariableOp"
        made.input[1] = read.name
        return dataclasses.replace(edit, nodes=(read, *edit.nodes))

    _rule(patch, variables.WRITE, write)


def _each_write(patch: Patch, change: Callable[[NodeDef], None]) -> None:
    """Changes each node that is made of a write to a variable."""
    real = variables._write

    def write(node, edit_scope):
        edit = real(node, edit_scope)
        for made in edit.nodes:
            change(made)
        return edit

    _rule(patch, variables.WRITE, write)


def _swap_inputs(node: NodeDef, op: str, one: int, other: int) -> None:
    if node.op == op:
        node.input[one], node.input[other] = node.input[other], node.input[one]


def _drop_controls(node: NodeDef) -> None:
    kept = [name for name in node.input if not name.startswith("^")]
    del node.input[:]
    node.input.extend(kept)


def _rule(patch: Patch, rule: object, rewrite: object) -> None:
    changed = dataclasses.replace(rule, rewrite=rewrite)
    for op in rule.ops:
        patch.setitem(TABLE.rules, op, changed)


# Branches that are left out: rewrite/fold.py.
@_mutant
def the_branch_that_runs_is_left_out(patch: Patch) -> None:
    real = fold._taken
    patch.setattr(fold, "_taken", lambda graph, fed: {name: 1 - output for name, output in real(graph, fed).items()})


@_mutant
def every_predicate_is_taken_for_true(patch: Patch) -> None:
    patch.setattr(fold.Constants, "predicate", lambda self, tensor: True)


@_mutant
def every_predicate_is_taken_for_false(patch: Patch) -> None:
    patch.setattr(fold.Constants, "predicate", lambda self, tensor: False)


# Functions: rewrite/importable.py, rewrite/calls.py, rewrite/inline.py.
@_mutant
def two_handles_swap_their_variables(patch: Patch) -> None:
    real = module.importable

    def swapped(run, *rest):
        made = real(run, *rest)
        kinds: dict[object, list[str]] = {}
        for name in made.variables:
            node = run.graph.nodes[name]
            kinds.setdefault((node.attr["dtype"].type, str(node.attr["shape"])), []).append(name)
        moved = dict(made.variables)
        for names in kinds.values():
            for one, other in zip(names[::2], names[1::2], strict=False):
                moved[one], moved[other] = moved[other], moved[one]
        return dataclasses.replace(made, variables=moved)

    patch.setattr(module, "importable", swapped)


@_mutant
def two_handles_swap_their_tables(patch: Patch) -> None:
    real = module.importable

    def swapped(run, *rest):
        made = real(run, *rest)
        names = list(made.resources)
        moved = dict(made.resources)
        for one, other in zip(names[::2], names[1::2], strict=False):
            moved[one], moved[other] = moved[other], moved[one]
        return dataclasses.replace(made, resources=moved)

    patch.setattr(module, "importable", swapped)


# Values: plan/restore.py, plan/variables.py, export/checkpoint.py, export/weights.py, rewrite/constants.py.
@_mutant
def a_key_of_the_checkpoint_is_its_neighbours(patch: Patch) -> None:
    real = restore.string_at

    def string_at(node: NodeDef, index: int) -> str | None:
        return real(node, index ^ 1 if index ^ 1 < len(node.attr["value"].tensor.string_val) else index)

    patch.setattr(restore, "string_at", string_at)


@_mutant
def a_slice_is_its_neighbours(patch: Patch) -> None:
    real = restore._read
    slices: list[str] = []

    def read(graph, node, output):
        found = real(graph, node, output)
        if isinstance(found, restore.FromCheckpoint) and found.slice_spec:
            slices.append(found.slice_spec)
            return dataclasses.replace(found, slice_spec=slices[0])
        return found

    patch.setattr(restore, "_read", read)


@_mutant
def two_variables_swap_their_values(patch: Patch) -> None:
    real = planning.plan_variables

    def plan_variables(*given):
        found, findings = real(*given)
        kinds: dict[object, list[int]] = {}
        for place, variable in enumerate(found):
            kinds.setdefault((variable.dtype, str(variable.shape)), []).append(place)
        changed = list(found)
        for places in kinds.values():
            for one, other in zip(places[::2], places[1::2], strict=False):
                changed[one] = dataclasses.replace(found[one], value=found[other].value)
                changed[other] = dataclasses.replace(found[other], value=found[one].value)
        return tuple(changed), findings

    patch.setattr(planning, "plan_variables", plan_variables)


@_mutant
def the_bytes_of_a_tensor_are_its_neighbours(patch: Patch) -> None:
    real = weights._takeable

    def takeable(variables_, bundle):
        found = real(variables_, bundle)
        sizes: dict[object, list[str]] = {}
        for root, entry in found.items():
            sizes.setdefault((entry.size, entry.shard), []).append(root)
        for roots in sizes.values():
            for one, other in zip(roots[::2], roots[1::2], strict=False):
                found[one], found[other] = found[other], found[one]
        return found

    patch.setattr(weights, "_takeable", takeable)


@_mutant
def values_that_are_written_are_zeros(patch: Patch) -> None:
    import tensorflow as tf

    patch.setattr(weights, "_takeable", lambda *_: {})
    real = values.value_of
    patch.setattr(values, "value_of", lambda *given: tf.zeros_like(real(*given)))


@_mutant
def two_variables_swap_their_keys_in_the_new_checkpoint(patch_: Patch) -> None:
    def swapped(real):
        def save(built, plan, directory):
            keys = real(built, plan, directory)
            kinds: dict[object, list[str]] = {}
            for variable in plan.variables:
                if variable.identity in keys.by_variable:
                    kinds.setdefault((variable.dtype, str(variable.shape)), []).append(variable.identity)
            moved = dict(keys.by_variable)
            for roots in kinds.values():
                for one, other in zip(roots[::2], roots[1::2], strict=False):
                    moved[one], moved[other] = moved[other], moved[one]
            return dataclasses.replace(keys, by_variable=moved)

        return save

    for exporter in (direct, patch):
        patch_.setattr(exporter, "save", swapped(exporter.save))


@_mutant
def a_constant_that_becomes_a_variable_has_another_value(patch: Patch) -> None:
    real = constants.unfreeze

    def unfreeze(graph, large):
        found = real(graph, large)
        given = list(found.values.values())
        return dataclasses.replace(found, values=dict(zip(found.values, [*given[1:], given[0]], strict=True)))

    patch.setattr(constants, "unfreeze", unfreeze)


# Loading: plan/plan.py, export/module.py, export/resources.py.
@_mutant
def the_init_op_is_dropped(patch: Patch) -> None:
    real = planning._plan

    def plan(meta_graph, options, read):
        return dataclasses.replace(real(meta_graph, options, read), init=None, assets=())

    patch.setattr(planning, "_plan", plan)


@_mutant
def one_of_several_init_ops_is_run(patch: Patch) -> None:
    real = module._init_function

    def init_function(run, part, captures, files):
        first = dataclasses.replace(run, run=dataclasses.replace(run.run, targets=run.run.targets[:1]))
        return real(first, part, captures, files)

    patch.setattr(module, "_init_function", init_function)


@_mutant
def the_init_op_waits_for_no_target(patch: Patch) -> None:
    real = module._init_function

    def init_function(run, part, captures, files):
        return real(dataclasses.replace(run, run=dataclasses.replace(run.run, targets=())), part, captures, files)

    patch.setattr(module, "_init_function", init_function)


@_mutant
def assets_are_swapped(patch: Patch) -> None:
    real = planning._plan

    def plan(meta_graph, options, read):
        found = real(meta_graph, options, read)
        files = [file for _, file in found.assets]
        names = [name for name, _ in found.assets]
        return dataclasses.replace(found, assets=tuple(zip(names, files[::-1], strict=True)))

    patch.setattr(planning, "_plan", plan)


@_mutant
def a_table_keeps_another_default(patch: Patch) -> None:
    real = planning._plan

    def plan(meta_graph, options, read):
        found = real(meta_graph, options, read)
        for run in found.runs:
            for node in run.graph.nodes.values():
                if node.op == "LookupTableFindV2":
                    source = run.graph.nodes[node.input[2].partition(":")[0]]
                    tensor = source.attr["value"].tensor
                    tensor.int64_val[:] = [value + 1 for value in tensor.int64_val]
                    tensor.string_val[:] = [value + b"!" for value in tensor.string_val]
        return found

    patch.setattr(planning, "_plan", plan)


# What clients call: plan/signatures.py, plan/training.py, export/module.py, export/patch.py.
@_mutant
def a_call_runs_no_target(patch: Patch) -> None:
    patch.setattr(module, "_targets", lambda run, part: [])


@_mutant
def results_of_a_signature_are_swapped(patch: Patch) -> None:
    real, save = module._signature_function, direct.save

    def turned(names):
        keys = list(names.results)
        return dataclasses.replace(
            names, results={k: names.results[other] for k, other in zip(keys, keys[::-1], strict=True)}
        )

    def save_turned(built, plan, directory):
        return save(dataclasses.replace(built, names={k: turned(n) for k, n in built.names.items()}), plan, directory)

    patch.setattr(module, "_signature_function", lambda wrapped, names: real(wrapped, turned(names)))
    patch.setattr(direct, "save", save_turned)


@_mutant
def arguments_of_a_signature_are_swapped(patch_: Patch) -> None:
    real = patch.rename

    def rename(definition, source, names):
        real(definition, source, names)
        found = {}
        for name, info in definition.inputs.items():
            found.setdefault((info.dtype, str(info.tensor_shape)), []).append(name)
        for keys in found.values():
            for one, other in zip(keys[::2], keys[1::2], strict=False):
                first, second = definition.inputs[one].name, definition.inputs[other].name
                definition.inputs[one].name, definition.inputs[other].name = second, first

    patch_.setattr(patch, "rename", rename)


@_mutant
def outputs_of_a_session_are_swapped(patch_: Patch) -> None:
    real = patch.rename

    def rename(definition, source, names):
        real(definition, source, names)
        keys = sorted(definition.outputs)
        for one, other in zip(keys[::2], keys[1::2], strict=False):
            first, second = definition.outputs[one].name, definition.outputs[other].name
            definition.outputs[one].name, definition.outputs[other].name = second, first

    patch_.setattr(patch, "rename", rename)


@_mutant
def an_input_loses_its_default(patch_: Patch) -> None:
    patch_.setattr(patch, "_give_defaults", lambda meta_graph, signature: None)


@_mutant
def an_input_has_another_default(patch: Patch) -> None:
    real = signatures._defaults

    def defaults(nodes, signature):
        found = {}
        for name, value in real(nodes, signature).items():
            found[name] = type(value).FromString(value.SerializeToString())
            for field in ("float_val", "int_val", "bool_val"):
                numbers = getattr(found[name], field)
                numbers[:] = [not number if field == "bool_val" else number + 1 for number in numbers]
        return found

    patch.setattr(signatures, "_defaults", defaults)


@_mutant
def training_leaves_its_updates_out(patch: Patch) -> None:
    patch.setattr(training, "_updates", lambda source, signature: ())


@_mutant
def training_is_inference(patch: Patch) -> None:
    real = module._call
    patch.setattr(
        module, "_call", lambda wrapped, names, train: real(wrapped, names, wrapped if train is not None else None)
    )


@_mutant
def a_sparse_tensor_has_its_parts_in_another_order(patch_: Patch) -> None:
    real = patch.rename

    def rename(definition, source, names):
        real(definition, source, names)
        for info in (*definition.inputs.values(), *definition.outputs.values()):
            if info.WhichOneof("encoding") == "coo_sparse":
                sparse = info.coo_sparse
                first, second = sparse.indices_tensor_name, sparse.dense_shape_tensor_name
                sparse.indices_tensor_name, sparse.dense_shape_tensor_name = second, first

    patch_.setattr(patch, "rename", rename)


@_mutant
def kept_names_are_those_of_other_tensors(patch_: Patch) -> None:
    real = patch.give_names

    def give_names(meta_graph, tensors):
        names = list(tensors)
        real(meta_graph, dict(zip(names[::-1], [tensors[name] for name in names], strict=True)))

    patch_.setattr(patch, "give_names", give_names)


@_mutant
def an_axis_is_another_one(patch: Patch) -> None:
    real = module.importable

    def other(run, *rest):
        made = real(run, *rest)
        for node in made.graph_def.node:
            if node.op == "Const" and re.search(r"(reduction_indices|axis|dim|perm)$", node.name):
                tensor = node.attr["value"].tensor
                if tensor.int_val:
                    tensor.int_val[0] ^= 1
                elif tensor.tensor_content:
                    tensor.tensor_content = bytes([tensor.tensor_content[0] ^ 1]) + tensor.tensor_content[1:]
        return made

    patch.setattr(module, "importable", other)


@_mutant
def a_replaced_node_waits_for_nothing(patch: Patch) -> None:
    """An op that takes the place of another one loses the edges that say when it runs."""
    real = scope.replaced

    def replaced(node, op, inputs):
        made = real(node, op, inputs)
        _drop_controls(made)
        return made

    patch.setattr(scope, "replaced", replaced)


@_mutant
def a_write_waits_for_nothing(patch: Patch) -> None:
    def change(made: NodeDef) -> None:
        if made.op.startswith(("Assign", "Resource")):
            _drop_controls(made)

    _each_write(patch, change)
