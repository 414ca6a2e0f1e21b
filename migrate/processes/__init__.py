"""Child processes: how they start, what they may do, how they answer."""
