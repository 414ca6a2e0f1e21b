"""Libraries of ops that many models need, by the names of their ops."""

from __future__ import annotations

from migrate.frozen import frozen


@frozen
class KnownLibrary:
    """A library that is known by name.

    Attributes:
      name: what people call it.
      prefixes: what the names of its ops begin with.
      ops: names of other ops of it.
      hint: what to do.
    """

    name: str
    prefixes: tuple[str, ...]
    ops: frozenset[str]
    hint: str


def _package(distribution: str, module: str) -> str:
    return f"Install {distribution} for the TensorFlow here and pass --import_module={module}."


LIBRARIES = (
    KnownLibrary(
        "TensorFlow Text",
        ("TFText>",),
        # Those without a prefix that tensorflow-text 2.21.1 registers, and two of older releases.
        frozenset(
            {
                "CaseFoldUTF8",
                "ConstrainedSequence",
                "FastBertNormalize",
                "FastWordpieceTokenizeWithOffsets",
                "FindSourceOffsets",
                "MaxSpanningTree",
                "NgramsStringJoin",
                "NormalizeUTF8",
                "NormalizeUTF8WithOffsetsMap",
                "PhraseTokenize",
                "RegexSplitWithOffsets",
                "RougeL",
                "SentenceFragments",
                "SentenceFragmentsV2",
                "SentencepieceDetokenizeOp",
                "SentencepieceIdToStringOp",
                "SentencepieceOp",
                "SentencepieceStringToIdOp",
                "SentencepieceTokenizeOp",
                "SentencepieceTokenizeWithOffsetsOp",
                "SentencepieceVocabSizeOp",
                "SplitMergeFromLogitsTokenizeWithOffsets",
                "SplitMergeTokenizeWithOffsets",
                "TokenizerFromLogits",
                "UnicodeScriptTokenizeWithOffsets",
                "WhitespaceTokenizeWithOffsets",
                "WordpieceTokenizeWithOffsets",
            }
        ),
        _package("tensorflow-text", "tensorflow_text"),
    ),
    KnownLibrary("TensorFlow Addons", ("Addons>",), frozenset(), _package("tensorflow-addons", "tensorflow_addons")),
    KnownLibrary(
        "TensorFlow Decision Forests",
        ("SimpleML",),
        frozenset(),
        _package("tensorflow-decision-forests", "tensorflow_decision_forests"),
    ),
    KnownLibrary(
        "SentencePiece",
        (),
        # tensorflow/tf_sentencepiece of google/sentencepiece, which TensorFlow Text has taken the place of.
        frozenset(
            {
                "SentencepieceDecode",
                "SentencepieceEncodeDense",
                "SentencepieceEncodeSparse",
                "SentencepieceGetPieceSize",
                "SentencepieceGetPieceType",
                "SentencepieceIdToPiece",
                "SentencepiecePieceToId",
            }
        ),
        "Build tf_sentencepiece for the TensorFlow here and pass its library: --op_library=LIBRARY.so. TensorFlow Text "
        "has other ops for the same, for a model that you export again.",
    ),
    KnownLibrary("TensorFlow I/O", ("IO>",), frozenset(), _package("tensorflow-io", "tensorflow_io")),
    KnownLibrary(
        "TensorFlow Recommenders Addons",
        ("TFRA>",),
        frozenset(),
        _package("tensorflow-recommenders-addons", "tensorflow_recommenders_addons"),
    ),
)
"""The libraries; TensorFlow Hub's modules have ops of these, and none of their own."""


def library_of(op: str) -> KnownLibrary | None:
    """The library that an op belongs to, judging by its name; None for an op of none that is known."""
    return next((each for each in LIBRARIES if op in each.ops or op.startswith(each.prefixes)), None)
