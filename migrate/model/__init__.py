"""One model: how it is audited, converted and validated."""
