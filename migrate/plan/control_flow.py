"""A plan whose runs have functional control flow in the place of v1 control flow."""

from __future__ import annotations

import dataclasses

from migrate.functional.convert import Converted, convert
from migrate.functional.library import Library
from migrate.graph.nodes import called_functions
from migrate.plan.records import Plan
from migrate.records import Finding
from migrate.rewrite.engine import Rewritten


def with_functions(plan: Plan) -> Plan:
    """Makes If and While of what is structured in all runs of a plan; of the rest a finding says that it stays."""
    library = Library(plan.functions)
    uninitialized = plan.guarded
    known: dict[object, Converted] = {}
    findings: list[Finding] = []

    def converted(run: Rewritten) -> Rewritten:
        key = (run.graph, tuple(run.fetches.items()), run.run.targets)
        if key not in known:
            known[key] = convert(run, library, uninitialized)
            findings.extend(each for each in (known[key].finding, known[key].arrays) if each is not None)
        return dataclasses.replace(known[key].run, run=run.run)

    signatures = tuple(dataclasses.replace(s, run=converted(s.run)) for s in plan.signatures)
    init = plan.init and converted(plan.init)
    training = plan.training
    if training is not None:
        call = training.call and dataclasses.replace(training.call, run=converted(training.call.run))
        training = dataclasses.replace(training, call=call, losses=tuple(map(converted, training.losses)))
    made = dataclasses.replace(
        plan, signatures=signatures, init=init, training=training, findings=(*plan.findings, *findings)
    )
    if not library.made:
        return made
    bodies = {name: function.node_def for name, function in library.functions.items()}
    called = called_functions([n for run in made.runs for n in run.graph.nodes.values()], bodies)
    return dataclasses.replace(made, functions=tuple(library.functions[name] for name in called))
