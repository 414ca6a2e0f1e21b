"""Loads a Keras file with the Keras that wrote it. The TensorFlow runtime starts here, in child processes."""
