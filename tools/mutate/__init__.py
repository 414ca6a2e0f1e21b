"""Plants faults in good conversions, proves each with TensorFlow alone, counts which ones `migrate validate` catches.

    make mutate    or    python -m tools.mutate docs/trust.md

`catalogue.FAULTS` is the table of faults. `python -m tools.mutate --only='state/*'` runs some of them, `--proofs_alone`
validates nothing.

A fault is a row in `faults/<kind>.py`: the base model (`bases.BASES`), what is wrong in words, an edit of a `Candidate`
(`edits` has those that are common), and a look (`look`): what a client sees, by TensorFlow alone, in a process of its
own. A fault counts where the look at the planted model gives something else than the look at the untouched one, which
must give the same twice.
"""
