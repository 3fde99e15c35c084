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
      input, output: name, shape and dtype of its input and output.
      operators: how often each operator stands in it.
      max_difference: greatest difference to Keras' outputs on random images,
        as a share of the greatest absolute output.
      labels: the class names, in the order of the outputs.
      labels_path: the file that holds them, one a line; None without labels.
    """

    path: str
    bytes: int
    quantization: str
    input: TensorInfo
    output: TensorInfo
    operators: dict[str, int]
    max_difference: float
    labels: tuple[str, ...]
    labels_path: str | None

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
            "  greatest difference to Keras: "
            f"{self.max_difference:.1e} of the output's scale",
        ]
        if self.labels_path:
            lines.append(f"  {len(self.labels)} labels in {self.labels_path}")
        return "\n".join(lines)


def _describe(tensor: TensorInfo) -> str:
    shape = "x".join(map(str, tensor.shape))
    return f"{tensor.name} {shape} {tensor.dtype}"
