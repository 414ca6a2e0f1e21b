"""What a model is, what it needs, and what stands in the way of its conversion. Starts no TensorFlow."""
