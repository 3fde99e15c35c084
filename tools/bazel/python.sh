#!/bin/sh
# The interpreter of Bazel's tests and programs: that of the environment which
# `make` made in the checkout, or DRNET_PYTHON. It holds TensorFlow and the rest.
checkout=$(dirname "$(readlink -f "$0")")/../..
python=${DRNET_PYTHON:-$checkout/.venv/bin/python}
if [ ! -x "$python" ]; then
  echo "bazel: there is no interpreter '$python'; run 'make test' once, or set" \
    "DRNET_PYTHON to one that has the packages of setup.py" >&2
  exit 1
fi
exec "$python" "$@"
