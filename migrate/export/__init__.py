"""Carries a plan out: functions, variables, a TF2 SavedModel on the disk. The TensorFlow runtime starts here."""
