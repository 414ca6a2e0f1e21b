"""What a model is, what it needs, and what blocks its conversion. Starts no TensorFlow."""
