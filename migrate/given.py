"""What a user gives by name: signatures and values of tensors."""

from __future__ import annotations

from migrate.frozen import frozen


@frozen
class GivenSignature:
    """A signature that the user gives, or that audit proposes.

    Attributes:
      key: its name.
      inputs: (name, tensor name) pairs.
      outputs: (name, tensor name) pairs.
      method_name: for clients of model servers.
    """

    key: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    method_name: str = "tensorflow/serving/predict"


@frozen
class GivenFeed:
    """A value that the user gives a tensor for good, or that audit proposes.

    Attributes:
      tensor: full name, such as `keep_prob:0`.
      value: as `--feed` has it: a JSON literal or, for a string, the text itself.
    """

    tensor: str
    value: str
