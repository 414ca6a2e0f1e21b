"""What is proved of a candidate's structure, for the report and for the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from migrate.frozen import frozen
from migrate.graph.graph import canonical
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.records import Mismatch, Structure, Verification
from migrate.sources.source import Source
from migrate.verify.contract import Candidate
from migrate.verify.same_outputs import CODE as NODE_DIFFERS

VARIABLES = "variables"
"""How `Verification.unverified` calls all variables together."""


@frozen
class Wanted:
    """What the user has asked for of a conversion, see `proof.prove.Asked`.

    Attributes:
      feeds: values of tensors that are the same in every call, by name.
      dropped: keys of signatures that the candidate may leave out.
      train: the training graph of a TF1 Hub module.
    """

    feeds: Mapping[str, TensorProto] = dataclasses.field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    train: MetaGraphDef | None = None


_NOTHING = Wanted()


def proved(
    source: Source, meta_graph: MetaGraphDef, candidate: Candidate, is_run: bool, wanted: Wanted = _NOTHING
) -> Structure:
    """Proves what can be proved of a candidate; starts no TensorFlow and runs nothing.

    Args:
      source: its source.
      meta_graph: the source's, with the signatures that the user has added.
      candidate: the new model.
      is_run: whether it is run as well, which shows whether its weights are whole.
      wanted: what the user has asked for.
    """
    from migrate.proof.prove import Asked, Files, prove  # An audit needs none of it.
    from migrate.proof.records import NotProved, Proved, ProvedUnordered

    files = Files(source.checkpoint, source.assets_dir, source.boundary)
    feeds = {canonical(name): value for name, value in wanted.feeds.items()}
    asked = Asked(feeds, wanted.dropped, wanted.train, reads_data=not is_run)
    if len(candidate.meta_graphs) != 1:
        return Structure((), 0, 0, 0, {"loading": "the candidate has several MetaGraphDefs"})
    proof = prove(meta_graph, files, candidate.meta_graphs[0], candidate.directory, asked)
    outputs = {f"{name.signature}/{name.output}": result for name, result in proof.outputs.items()}
    calls = {f"{name.signature}/{name.output}": result for name, result in proof.calls.items()}
    results = {**outputs, **proof.effects, **proof.variables, **proof.losses, **calls, "loading": proof.loading}
    not_proved = {what: _why(result) for what, result in results.items() if isinstance(result, NotProved)}
    if proof.problem:
        not_proved["loading"] = proof.problem
    # What loading leaves is what each call begins with.
    is_loaded = "loading" not in not_proved
    unordered = {what: r.why for what, r in results.items() if is_loaded and isinstance(r, ProvedUnordered)}
    return Structure(
        tuple(name for name, result in outputs.items() if is_loaded and isinstance(result, Proved)),
        len(outputs),
        sum(is_loaded and isinstance(result, Proved) for result in proof.variables.values()),
        len(proof.variables),
        not_proved,
        tuple(name for name in outputs if name in unordered),
        unordered,
    )


def _why(result: object) -> str:
    from migrate.proof.records import NotProved

    assert isinstance(result, NotProved)
    places = " and ".join(filter(None, (result.source, result.candidate)))
    return f"{result.why} ({places})" if places else result.why


def with_structure(verification: Verification, structure: Structure | None) -> Verification:
    """Takes out of what no value was compared of all that is proved."""
    if structure is None:
        return verification
    from migrate.proof.records import CHECKS_DIFFER

    left = {what: why for what, why in verification.unverified.items() if not is_proved(structure, what)}
    # No call need have come to a check that the candidate lacks.
    left = {**{what: why for what, why in structure.not_proved.items() if CHECKS_DIFFER in why}, **left}
    return dataclasses.replace(verification, unverified=left, structure=structure)


def unexplained(broken: tuple[Mismatch, ...], structure: Structure | None) -> tuple[Mismatch, ...]:
    """The differences without those of nodes by their names, where all is proved: other nodes compute the same.

    Args:
      broken: what the files of a candidate tell.
      structure: what is proved, or None.
    """
    if structure is None or structure.not_proved or not structure.outputs:
        return broken
    return tuple(difference for difference in broken if difference.code != NODE_DIFFERS)


def is_proved(structure: Structure, what: str) -> bool:
    """Whether something of which no value was compared is proved, and with it what a call leaves behind.

    What TF1 leaves open is proved where each answer of the candidate is one that TF1 may give.

    Args:
      structure: what is proved.
      what: a signature's key, an output (`signature/output`), a sparse output's part, or `variables`.
    """
    if "loading" in structure.not_proved or not structure.outputs:
        return False
    if what == VARIABLES:
        return structure.variables_proved == structure.variables
    proved = set(structure.outputs_shown)
    of_key = {name for name in proved if name.startswith(f"{what}/")}
    if of_key:  # A signature, all of whose outputs are proved.
        others = [name for name in structure.not_proved if name == what or name.startswith(f"{what}/")]
        return not others
    for name in proved:
        key = name.partition("/")[0]
        if (what == name or what.startswith(f"{name}/")) and not _leaves_unproved(structure, key, name):
            return True
    return False


def _leaves_unproved(structure: Structure, key: str, name: str) -> bool:
    """Whether what a call of an output's signature leaves behind is not proved."""
    # A key may hold slashes itself.
    return any(name.startswith(f"{other}/") for other in structure.not_proved) or key in structure.not_proved


def structure_alone(structure: Structure, level: str) -> Verification:
    """The verification of a model that was not run."""
    unverified: Mapping[str, str] = {what: why for what, why in structure.not_proved.items() if "__call__" not in what}
    return Verification(0, 0, 0, True, 0.0, 0, 0, (), (), {}, (), unverified, level, structure=structure)
