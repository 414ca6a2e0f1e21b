"""A plan whose runs have functional control flow in the place of v1 control flow, through which gradients come."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Set

from migrate.functional.convert import Converted, convert
from migrate.functional.library import Library
from migrate.functional.source_loops import OuterReads
from migrate.graph.nodes import called_functions
from migrate.plan.records import Plan
from migrate.records import Finding
from migrate.rewrite.engine import Rewritten


def with_functions(plan: Plan, undifferentiated: Set[str] = frozenset()) -> Plan:
    """Makes If and While of what is structured in all runs of a plan; of the rest a finding says that it stays.

    Args:
      plan: the plan; it is not changed.
      undifferentiated: names of Exits through which TF1 gives no gradient.
    """
    library = Library(plan.functions)
    uninitialized = plan.guarded
    known: dict[object, Converted] = {}
    findings: list[Finding] = []

    def converted(run: Rewritten) -> Rewritten:
        key = (run.graph, tuple(run.fetches.items()), run.run.targets)
        if key not in known:
            known[key] = convert(run, library, uninitialized, undifferentiated)
            findings.extend(each for each in (known[key].finding, known[key].arrays) if each is not None)
        return dataclasses.replace(known[key].run, run=run.run)

    made = _changed(plan, library, converted)
    return dataclasses.replace(made, findings=(*plan.findings, *findings))


def with_outer_reads(plan: Plan) -> Plan:
    """Has functions read variables in the outermost of their loops, if every variable has a value."""
    if plan.guarded:
        return plan  # A loop that is not entered would read them.
    library = Library(plan.functions)
    reads = OuterReads(library)
    known: dict[object, Rewritten] = {}

    def converted(run: Rewritten) -> Rewritten:
        if run.graph not in known:
            known[run.graph] = reads.convert(run)
        made = known[run.graph]
        return Rewritten(run.run, made.graph, run.fetches)

    return _changed(plan, library, converted)


def _changed(plan: Plan, library: Library, converted: Callable[[Rewritten], Rewritten]) -> Plan:
    """A plan with other runs, and with the functions that they call."""
    signatures = tuple(dataclasses.replace(s, run=converted(s.run)) for s in plan.signatures)
    init = plan.init and converted(plan.init)
    training = plan.training
    if training is not None:
        call = training.call and dataclasses.replace(training.call, run=converted(training.call.run))
        training = dataclasses.replace(training, call=call, losses=tuple(map(converted, training.losses)))
    made = dataclasses.replace(plan, signatures=signatures, init=init, training=training)
    if not library.made:
        return made
    bodies = {name: function.node_def for name, function in library.functions.items()}
    called = called_functions([n for run in made.runs for n in run.graph.nodes.values()], bodies)
    return dataclasses.replace(made, functions=tuple(library.functions[name] for name in called))
