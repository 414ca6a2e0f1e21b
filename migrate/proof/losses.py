"""The regularisation losses: functions of the loaded object, tensors of the source that a collection lists."""

from __future__ import annotations

from migrate.graph.graph import canonical
from migrate.proof.loading import captured
from migrate.proof.numbering import run
from migrate.proof.records import PROVED, NotProved, Result
from migrate.proof.states import fetched
from migrate.proof.terms import Term
from migrate.proof.variables import Variables

_LOSSES = "regularization_losses"


def losses(variables: Variables) -> dict[str, Result]:
    """Proves the regularisation losses, which are functions without arguments."""
    pair, terms = variables.pair, variables.terms
    listed = pair.objects.child(0, "regularization_losses") if not pair.objects.problem else None
    found: dict[Term, str] = {}
    for name, node in sorted(pair.objects.children(listed).items()) if listed is not None else ():
        for trace in pair.objects.traces(node):
            taken = captured(pair, variables.loaded.cells, trace, [])
            program = pair.candidate.program()
            returned = program.call(trace, taken) if taken is not None else None
            if returned is None or len(returned) != 1:
                found[terms.unknown(f"the loss {name} cannot be read")] = name
                continue
            side = pair.candidate.side(program, variables.initial("objects"))
            run(side, is_first=True)
            if side.has_loops or side.written or program.loose():
                found[terms.unknown(f"the loss {name} has loops or effects")] = name
            else:
                found[fetched(side, returned[0])] = name
    if not found:
        return {}
    model = pair.train or pair.source
    known: dict[str, Term] = {}
    collection = model.meta_graph.collection_def
    listed_names = collection[_LOSSES].node_list.value if _LOSSES in collection else ()
    for name in dict.fromkeys(listed_names):
        ours = model.program({}, pair.replaced)
        tensor = ours.tensor(canonical(name))
        source = model.side(ours, variables.source_initial)
        run(source, is_first=True)
        known[name] = fetched(source, tensor)
    results: dict[str, Result] = {
        name: PROVED if term in found else NotProved(name, "", "no loss of the candidate is shown to be this one")
        for name, term in known.items()
    }
    for term, name in found.items():
        if term not in known.values():
            results[f"candidate {name}"] = NotProved("", name, "the source has no such loss")
    return results
