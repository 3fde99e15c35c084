"""What a model, a layer or a sub-task costs: the results of `costs`."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What one call costs.

    Attributes:
      name: of the call.
      kind: class of its operation: "Conv2D".
      parameters: all its weights; 0 for further calls of a shared layer.
      learnable_parameters: those without moving statistics.
      macs: multiply-accumulates for one image.
      output_shape: of its first output, without the batch axis.
    """

    name: str
    kind: str
    parameters: int
    learnable_parameters: int
    macs: int
    output_shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Costs:
    """What a model costs; see `count_costs`.

    Attributes:
      parameters: all weights, as `model.count_params()`.
      learnable_parameters: without the moving statistics of norms: the count
        of papers and of PyTorch, whether layers are frozen or not.
      macs: multiply-accumulates for one image.
      bytes: 4 x `parameters`: all weights as float32, without file overhead.
      layers: one entry a call, in graph order.
      uncounted: calls that multiply matrices in a way that `macs` lacks.
    """

    parameters: int
    learnable_parameters: int
    macs: int
    bytes: int
    layers: tuple[LayerCost, ...]
    uncounted: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class MaskedCosts:
    """What a sub-task runs; see `count_masked_costs`.

    Attributes:
      channels, channels_full: channels kept, and all, of the sites.
      parameters, parameters_full: learnable parameters.
      macs, macs_full: multiply-accumulates for one image.
      layers: what runs of each call, in the order of `Costs.layers`.
    """

    channels: int
    channels_full: int
    parameters: int
    parameters_full: int
    macs: int
    macs_full: int
    layers: tuple[LayerCost, ...]

    @property
    def channels_fraction(self) -> float:
        """Running channels as a fraction of all, in [0, 1]."""
        return self.channels / self.channels_full

    @property
    def parameters_fraction(self) -> float:
        """Running parameters as a fraction of all, in [0, 1]."""
        return self.parameters / self.parameters_full

    @property
    def macs_fraction(self) -> float:
        """Running multiply-accumulates as a fraction of all, in [0, 1]."""
        return self.macs / self.macs_full
