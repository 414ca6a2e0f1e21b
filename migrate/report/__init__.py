"""One `records.Report`, shown to people and to programs."""
