"""Graphs as TensorFlow stores them: protos, nodes, ops, control flow, signatures. Starts no TensorFlow."""
