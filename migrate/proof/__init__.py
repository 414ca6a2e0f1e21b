"""Proves that a candidate computes what TF1 computes on its source. Shares nothing with the converter."""
