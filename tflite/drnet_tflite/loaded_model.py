"""A LiteRT file, loaded for the CPU without TensorFlow or Keras."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from drnet_tflite.native_log import native_log_hidden


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output of a file.

    Attributes:
      name: its name in the file's signature, e.g. "image".
      shape: with the batch of 1, e.g. `(1, 32, 32, 3)`.
      dtype: NumPy's name of its type, e.g. "float32".
      scale, zero_point: a stored number q stands for scale * (q - zero_point);
        None where numbers stand for themselves.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Turns real values into the numbers nearest to them that are stored.

        What lies beyond the range of the type becomes its least or greatest.

        Example:
          >>> image = TensorInfo("image", (1, 2), "uint8", 0.5, 128)
          >>> image.quantize(np.array([-64.0, 1.0, 99.0]))
          array([  0, 130, 255], dtype=uint8)
        """
        if self.scale is None or self.zero_point is None:
            return values.astype(self.dtype, copy=False)
        stored = np.rint(values / np.float32(self.scale)) + self.zero_point
        limits = np.iinfo(self.dtype)
        return stored.clip(limits.min, limits.max).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Turns stored numbers into the float32 values that they stand for.

        Example:
          >>> scores = TensorInfo("scores", (1, 2), "uint8", 0.5, 128)
          >>> scores.dequantize(np.array([130, 128], "uint8"))
          array([1., 0.], dtype=float32)
        """
        if self.scale is None or self.zero_point is None:
            return stored
        offsets = stored.astype(np.float32) - self.zero_point
        return np.float32(self.scale) * offsets


class LoadedModel:
    """A LiteRT file, loaded and ready to run on one image at a time.

    Attributes:
      input, output: `TensorInfo` of its one input and its one output.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, threads: int = 1
    ) -> None:
        check_count("threads", threads, least=1)
        if not os.path.isfile(path):
            raise ValueError(
                f"'{path}': no such file; expected a .tflite file, check the "
                "path."
            )
        try:
            with native_log_hidden():
                self._interpreter = Interpreter(
                    os.fspath(path), num_threads=threads
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"'{path}': LiteRT cannot run it ({_one_line(error)}); "
                "expected a whole .tflite file of standard operators, make or "
                "copy it again."
            ) from error
        details = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        self._check_single(path, details)
        (inputs,), (outputs,) = details
        self._input_index = inputs["index"]
        self._output_index = outputs["index"]
        input_name, output_name = self._names()
        self.input = _tensor_info(input_name, inputs)
        self.output = _tensor_info(output_name, outputs)

    def set_image(self, image: np.ndarray) -> None:
        """Copies one image of the input's shape and type to the input."""
        self._interpreter.set_tensor(self._input_index, image)

    def invoke(self) -> None:
        """Computes the output from the input."""
        self._interpreter.invoke()

    def scores(self) -> np.ndarray:
        """A copy of the output, of the output's shape."""
        return self._interpreter.get_tensor(self._output_index)

    def _names(self) -> tuple[str, str]:
        signatures = list(self._interpreter.get_signature_list().values())
        if len(signatures) != 1:  # A file of another tool may have none.
            return "input", "output"
        (signature,) = signatures
        return signature["inputs"][0], signature["outputs"][0]

    @staticmethod
    def _check_single(
        path: str | os.PathLike[str],
        details: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    ) -> None:
        for what, tensors in zip(("input", "output"), details, strict=True):
            if len(tensors) != 1:
                raise ValueError(
                    f"'{path}' has {len(tensors)} {what}s, expected one; "
                    "convert a model of one image and one tensor of scores."
                )
            shape = tensors[0]["shape_signature"].tolist()
            if -1 in shape or shape[:1] != [1]:
                raise ValueError(
                    f"'{path}': its {what} has the shape {tuple(shape)}, "
                    "expected a fixed one with a batch of 1; convert the model "
                    "with drnet_tflite.convert."
                )


def read_tensors(
    path: str | os.PathLike[str],
) -> tuple[TensorInfo, TensorInfo]:
    """The one input and the one output of a file, without preparing it to run.

    Raises:
      FileNotFoundError: there is no such file.
    """
    os.stat(path)
    with native_log_hidden():
        interpreter = Interpreter(
            os.fspath(path),
            experimental_op_resolver_type=(
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
    (signature,) = interpreter.get_signature_list().values()
    (inputs,) = interpreter.get_input_details()
    (outputs,) = interpreter.get_output_details()
    return (
        _tensor_info(signature["inputs"][0], inputs),
        _tensor_info(signature["outputs"][0], outputs),
    )


def check_count(name: str, value: int, least: int) -> None:
    """Refuses a setting that is no whole number or too small.

    Args:
      name: the argument's name, for the message.
      value: what was passed.
      least: the smallest number allowed.

    Raises:
      ValueError: `value` is no such number.

    Example:
      >>> check_count("threads", 0, least=1)
      Traceback (most recent call last):
      ...
      ValueError: threads: got 0, expected a whole number of at least 1.
    """
    if not isinstance(value, int) or value < least:
        raise ValueError(
            f"{name}: got {value!r}, expected a whole number of at least "
            f"{least}."
        )


def _tensor_info(name: str, details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    return TensorInfo(
        name,
        tuple(details["shape"].tolist()),
        np.dtype(details["dtype"]).name,
        # LiteRT gives 0 where there is none.
        *((float(scale), int(zero_point)) if scale else (None, None)),
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
