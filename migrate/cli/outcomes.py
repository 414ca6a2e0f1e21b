"""What the bad outcomes of a model mean, for `migrate explain`; `unverified` is a finding, and explained as one."""

from __future__ import annotations

from migrate.finding_codes import Explanation

OUTCOMES = {
    outcome.code: outcome
    for outcome in (
        Explanation(
            "crashed",
            "Outcome: a process died while it worked on the model.",
            "Nothing was written. The other models of the tree are not affected.",
            "A process that needed more memory than the machine has, and was killed.",
            "Read the last lines of the step in the report. Give more memory with --memory_limit or --jobs=1.",
        ),
        Explanation(
            "failed",
            "Outcome: a step could not be done.",
            "Nothing was written.",
            "The disk is full, or TensorFlow cannot load the graph.",
            "Do what the reason in the report says, and run the same command again.",
        ),
        Explanation(
            "mismatched",
            "Outcome: the new model differs from its source. The report has a code for each difference.",
            "Clients would get other answers. convert publishes no such model.",
            "validate without the --feed that convert was given.",
            "Give validate the flags or the --config of convert. Otherwise please report it: either migrate has a bug, "
            "or the model gives another answer each time.",
        ),
        Explanation(
            "refused",
            "Outcome: there is a reason why the new model could answer differently or not at all.",
            "Nothing was written.",
            "A model with an op that TensorFlow 2 does not have.",
            "Look up the codes of its blocking findings with migrate explain. A known refusal is no failure with "
            'expect = "refused: CODE" in the file of --config.',
        ),
        Explanation(
            "timed_out",
            "Outcome: a step took longer than its time limit.",
            "Nothing was written.",
            "A model whose calls take minutes each.",
            "Give more time with --timeout.",
        ),
        Explanation(
            "unreadable",
            "Outcome: the files of the model are damaged or incomplete, or are no model.",
            "Nothing is known of the model.",
            "A saved_model.pb that was cut off when it was copied.",
            "Copy the file named in the reason once more. If it is known to be no model, leave it out with --exclude, "
            'or write expect = "unreadable" in the file of --config.',
        ),
    )
}
"""By name, in the order of the alphabet."""
