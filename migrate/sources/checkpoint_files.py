"""Names that TensorFlow gives to the files and keys of checkpoints, and the file that names the latest one.

Sources: core/util/tensor_bundle/naming.cc, core/util/tensor_slice_writer.cc, checkpoint/checkpoint_management.py.
"""

from __future__ import annotations

import os
import re

from migrate.errors import InputError
from migrate.sources.files import read_file

META, INDEX = ".meta", ".index"
DATA_FILE = r"\.data-\d{5}-of-\d{5}$"
"""How the name of a data file of a V2 checkpoint ends."""
V1_SHARD = r"-\d{5}-of-(\d{5})$"
"""How the name of one file of a sharded V1 checkpoint ends."""
SHARDED_V1 = r"-\?{5}-of-(\d{5})$"
"""How the pattern ends that names all files of a sharded V1 checkpoint."""
STATE_FILE = "checkpoint"
"""Where tf.train.Saver notes which checkpoint is the latest."""
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Key of the object graph in a checkpoint by object (python/trackable/base.py)."""

_STATE_PATH = rb'^\s*model_checkpoint_path:\s*"((?:[^"\\]|\\.)*)"'
_LARGEST_STATE_BYTES = 1 << 20


def latest_name(folder: str) -> str:
    """Name of the latest checkpoint in a directory, without the directory that it was trained in.

    Returns:
      The name in the state file, or the empty string where there is no such file or name.

    Example:
      >>> latest_name("testdata/forms/saver_steps")
      'model.ckpt-5'
    """
    try:
        state = read_file(os.path.join(folder, STATE_FILE), _LARGEST_STATE_BYTES)
    except (OSError, InputError):
        return ""
    match = re.search(_STATE_PATH, state, re.MULTILINE)
    if match is None:
        return ""
    path = match[1].decode("utf-8", "replace").replace("\\\\", "\\").replace("\\", "/")
    return re.sub(SHARDED_V1, "", path.rsplit("/", 1)[-1])
