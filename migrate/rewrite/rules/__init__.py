"""One module for each family of ops, and THE TABLE of all rules."""
