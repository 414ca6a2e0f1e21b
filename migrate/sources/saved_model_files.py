"""Names that TensorFlow, Keras, TF Hub and model servers give to what is in a SavedModel's directory."""

from __future__ import annotations

# tensorflow/cc/saved_model/constants.h; the order is that of TensorFlow's loaders.
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
CHUNKED_SAVED_MODEL_FILE = "saved_model.cpb"
"""A SavedModel over 2 GB, split by tensorflow/tools/proto_splitter; it is not read here."""
HUB_MODULE_FILE = "tfhub_module.pb"
KERAS_METADATA_FILE = "keras_metadata.pb"
"""What Keras writes beside a TF2 SavedModel (keras/saving/legacy/saved_model/constants.py, SAVED_METADATA_PATH)."""
OWN_FOLDERS = ("assets", "assets.extra", "variables")
"""Directories that belong to a SavedModel; the first two belong to a model of any form in the same directory."""
WARM_UP = "tf_serving_warmup_requests"
"""The file in `assets.extra` with requests that a model server makes before it serves."""

SAVED_MODEL_OWN = (*SAVED_MODEL_FILES, "fingerprint.pb", KERAS_METADATA_FILE, HUB_MODULE_FILE, *OWN_FOLDERS)
"""Names in a SavedModel's directory that TensorFlow, Keras or TF Hub reads."""
