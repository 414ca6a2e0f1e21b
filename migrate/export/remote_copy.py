"""Copies trees between this machine and a file system that `tf.io.gfile` knows by its scheme (gs://, hdfs://, file://).

A job for a child process: TensorFlow's file systems come with its runtime.
"""

from __future__ import annotations

import os

from migrate.errors import first_line
from migrate.frozen import frozen
from migrate.records import Failed

# By this file model servers and loaders know a model, so it comes last.
_LAST = "saved_model.pb"


@frozen
class CopyJob:
    """What to copy.

    Attributes:
      source: a file, or a directory with all that is in it.
      destination: what it is to become.
      overwrite: whether the destination may exist; what it holds is removed first.
    """

    source: str
    destination: str
    overwrite: bool


@frozen
class Copied:
    """Everything is there."""

    files: int


def run(job: CopyJob) -> Copied | Failed:
    """Carries a job out, a file at a time; no file is held in memory."""
    import tensorflow as tf

    try:
        if not tf.io.gfile.exists(job.source):
            return Failed(f"{job.source}: no such file or directory")
        if tf.io.gfile.exists(job.destination):
            if not job.overwrite:
                return Failed(
                    f"{job.destination}: exists already; choose another destination, or replace it with --overwrite"
                )
            if tf.io.gfile.isdir(job.destination):
                tf.io.gfile.rmtree(job.destination)
            else:
                tf.io.gfile.remove(job.destination)
        if not tf.io.gfile.isdir(job.source):
            tf.io.gfile.makedirs(os.path.dirname(job.destination))
            tf.io.gfile.copy(job.source, job.destination)
            return Copied(1)
        files = []
        for folder, _, names in tf.io.gfile.walk(job.source):
            below = folder[len(job.source) :].strip("/")
            target = f"{job.destination}/{below}".rstrip("/")
            tf.io.gfile.makedirs(target)
            files += [(f"{folder.rstrip('/')}/{name}", f"{target}/{name}") for name in names]
        for source, destination in sorted(files, key=lambda pair: pair[0].endswith(_LAST)):
            tf.io.gfile.copy(source, destination)
        return Copied(len(files))
    except tf.errors.OpError as error:
        return Failed(f"{job.source}: cannot be copied to {job.destination}: {first_line(error)}")
