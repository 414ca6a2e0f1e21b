"""What is done in a child process: a fault is planted, and a client looks at a model."""

from __future__ import annotations

import dataclasses
import json

from tools.mutate.candidate import Candidate
from tools.mutate.catalogue import FAULTS


@dataclasses.dataclass(frozen=True)
class Job:
    """What a child is asked for.

    Attributes:
      fault: full name of the fault.
      directory: of the model.
      plant: whether the fault is planted there; otherwise a client looks at the model as it is.
    """

    fault: str
    directory: str
    plant: bool


def run(job: Job) -> str:
    """What the client sees, as text; "" after planting."""
    fault = FAULTS[job.fault]
    if not job.plant:
        return json.dumps(fault.look(job.directory), sort_keys=True)
    candidate = Candidate(job.directory)
    fault.edit(candidate)
    candidate.write()
    return ""
