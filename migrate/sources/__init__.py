"""Models on the disk, as protos and plain records. Starts no TensorFlow."""
