"""Makes functional control flow (If, While) of v1 control flow (Switch, Merge, Enter, Exit) in rewritten runs."""
