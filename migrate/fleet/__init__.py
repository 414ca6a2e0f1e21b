"""Many models, one after the other or side by side: each takes the same way."""
