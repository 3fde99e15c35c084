"""The values of a file's tensors while it runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from drnet_tflite.native_log import native_log_hidden
from drnet_tflite.planning.file_model import FileModel


def values_of(
    file: FileModel, tensors: Sequence[int], image: np.ndarray
) -> dict[int, np.ndarray]:
    """Runs a file on one image, with further tensors as outputs.

    So the kernels are those that devices run; others may round otherwise.

    Args:
      file: the file.
      tensors: computed ones, by number.
      image: of the input's shape and type.

    Returns:
      The values by number of tensor, in the file's own type.
    """
    own = file.outputs
    file.set_outputs([*own, *(x for x in tensors if x not in own)])
    try:
        content = file.packed()
    finally:
        file.set_outputs(own)
    with native_log_hidden():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        (details,) = interpreter.get_input_details()
        interpreter.set_tensor(details["index"], image.astype(details["dtype"]))
        interpreter.invoke()
    found = {
        x["index"]: interpreter.get_tensor(x["index"])
        for x in interpreter.get_output_details()
    }
    return {x: found[x] for x in tensors}
