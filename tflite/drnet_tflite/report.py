"""What a conversion tells its caller."""

from __future__ import annotations

import dataclasses
from typing import Any

from drnet_tflite.loaded_model import TensorInfo


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What a conversion made, and how well it agrees with Keras.

    Attributes:
      path: the written file.
      bytes: its size.
      quantization: number format of weights and arithmetic.
      input, output: name, shape, dtype and scale of its input and output.
      operators: how often each operator stands in it.
      images: on how many images it was compared with Keras: the representative
        ones, or random ones.
      agreement: share of them on which it puts the same class first.
      max_difference: greatest difference of the outputs, as a share of the
        greatest absolute output of Keras.
      min_runtime_version: the oldest TensorFlow Lite that has its operators.
      labels: the class names that it holds, in the order of the outputs.
    """

    path: str
    bytes: int
    quantization: str
    input: TensorInfo
    output: TensorInfo
    operators: dict[str, int]
    images: int
    agreement: float
    max_difference: float
    min_runtime_version: str
    labels: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report in JSON's types."""
        return dataclasses.asdict(self) | {"labels": list(self.labels)}

    def __str__(self) -> str:
        operators = ", ".join(f"{k} {n}" for k, n in self.operators.items())
        lines = [
            f"{self.path}: {self.bytes:,} bytes, {self.quantization}",
            f"  input   {_describe(self.input)}",
            f"  output  {_describe(self.output)}",
            f"  operators: {operators}",
            f"  compared with Keras on {self.images} images: the same class "
            f"first on {100 * self.agreement:.1f} %, greatest difference "
            f"{self.max_difference:.1e} of the output's scale",
            f"  needs TensorFlow Lite {self.min_runtime_version} or LiteRT",
        ]
        if self.labels:
            lines.append(f"  {len(self.labels)} labels in its metadata")
        return "\n".join(lines)


def _describe(tensor: TensorInfo) -> str:
    shape = "x".join(map(str, tensor.shape))
    text = f"{tensor.name} {shape} {tensor.dtype}"
    if tensor.scale is None:
        return text
    return f"{text}, {tensor.scale:.6g} * (q - {tensor.zero_point})"
