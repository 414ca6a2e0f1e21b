"""A TF1 graph in, a graph without ref-typed edges out. Starts no TensorFlow."""
