"""What a user gives by name: signatures, values of tensors, libraries of ops."""

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


@frozen
class GivenOp:
    """An op that a library of the user's registers, as its OpDef and its kernels say.

    Attributes:
      name: of the op.
      is_stateful: OpDef.is_stateful.
      has_ref: whether it takes or gives a ref.
      calls: whether an attribute of it is a function.
      on_cpu: whether some kernel of it runs on the CPU.
      on_other_device: whether only other devices have a kernel of it.
      dtypes: what it gives, as `OpInfo.dtypes`.
      outputs: as `OpInfo.outputs`.
    """

    name: str
    is_stateful: bool
    has_ref: bool
    calls: bool
    on_cpu: bool
    on_other_device: bool
    dtypes: str
    outputs: tuple[tuple[str, str], ...]


@frozen
class GivenLibrary:
    """A library of ops that the user names, and what it registers.

    Attributes:
      flag: `op_library` or `import_module`.
      name: absolute path of the library, or name of the Python module.
      version: of the distribution that the module belongs to; empty where there is none.
      sha256: of the library's file, or of all shared libraries below the module.
      ops: what it registers and TensorFlow does not.
    """

    flag: str
    name: str
    version: str
    sha256: str
    ops: tuple[GivenOp, ...]

    @property
    def label(self) -> str:
        """What a report calls it."""
        return f"{self.name} {self.version}".rstrip()
