#!/bin/sh
# Makes testdata/old anew: sh testdata/make_old.sh NAME PYTHON, as in `sh testdata/make_old.sh tf14 venv-tf14/bin/python`.
set -e
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/../migrate/verify/legacy_recorder.py" "$work/record.py"
mkdir -p "$here/old/$1"
rm -rf "$here/old/$1/scorer" "$here/old/$1/golden.npz"
export CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=3
"$2" -W ignore "$here/make_old.py" scorer "$here/old/$1/scorer"
if [ "$1" = tf112 ]; then
    rm -rf "$here/old/$1/buckets"
    "$2" -W ignore "$here/make_old.py" buckets "$here/old/$1/buckets"
    "$2" -W ignore "$work/record.py" "$here/old/$1/buckets" --output="$here/old/$1/buckets.npz" \
        --import=tensorflow.contrib.boosted_trees.python.ops.quantile_ops
fi
"$2" -W ignore "$work/record.py" "$here/old/$1/scorer" --inputs="$here/old/calls.json" --output="$here/old/$1/golden.npz"
