"""Proves that a candidate computes what TF1 computes on its source, or says where that is not shown.

First what loading leaves in variables and tables, then each signature: what its outputs are, and what a call leaves
behind. Of the candidate two ways are looked at: the main graph, which a Session and TensorFlow Serving run, and the
objects, which `tf.saved_model.load` gives.
"""

from __future__ import annotations

from migrate.graph import contract
from migrate.graph.protos import MetaGraphDef
from migrate.proof.calls import calls
from migrate.proof.loading import Loaded
from migrate.proof.losses import losses
from migrate.proof.model import BadModelError
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.records import PROVED, OutputName, Proof, Result
from migrate.proof.signatures import nothing_proved, signature
from migrate.proof.source_calls import SourceCalls
from migrate.proof.variables import Variables

__all__ = ["Asked", "Files", "prove"]


def prove(
    source: MetaGraphDef, files: Files, candidate: MetaGraphDef, directory: str, asked: Asked | None = None
) -> Proof:
    """Proves what can be proved of a candidate.

    Args:
      source: the MetaGraphDef that a client of the source loads, with the signatures that the user has added.
      files: the source's.
      candidate: the new model's MetaGraphDef.
      directory: the new model's.
      asked: what the user has asked for.
    """
    asked = asked or Asked({})
    try:
        pair = Pair(source, files, candidate, directory, asked)
        loaded = Loaded(pair)
        variables = Variables(pair, loaded)
        source_calls = SourceCalls(variables)
        outputs: dict[OutputName, Result] = {}
        effects: dict[str, Result] = {}
        for known in contract.signatures(source):
            if known.key in asked.dropped and known.key not in candidate.signature_def:
                continue
            try:
                found, left = signature(source_calls, known.key)
            except BadModelError as error:
                found, left = nothing_proved(known.key, known.outputs, str(error))
            outputs.update(found)
            effects[known.key] = left
        return Proof(outputs, effects, loaded.result, variables.results(), losses(variables), calls(source_calls))
    except BadModelError as error:
        return Proof({}, {}, PROVED, {}, {}, {}, str(error))
    except Exception as error:
        return Proof({}, {}, PROVED, {}, {}, {}, f"the proof failed: {type(error).__name__}: {error}")
