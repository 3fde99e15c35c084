"""Which numbers and vectors of a file depend on the channels that are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from drnet_tflite.bundles.plan import FIXED, Axis, Segment
from drnet_tflite.planning.channel_labels import ChannelLabels, Dimension
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.groups import Groups

BUFFER, SCALE, ZERO_POINT = "buffer", "scale", "zero_point"
SHAPE, SIGNATURE, VALUES, NEW_SHAPE = "shape", "signature", "values", "options"


@dataclasses.dataclass(frozen=True, eq=False)
class MovedVector:
    """A vector that is laid behind the skeleton.

    Attributes:
      part: `BUFFER`, `SCALE` or `ZERO_POINT`.
      tensor: whose values or quantisation it is.
      values: its elements.
      axes: its dimensions.
    """

    part: str
    tensor: int
    values: np.ndarray
    axes: tuple[Axis, ...]


@dataclasses.dataclass(frozen=True)
class PatchedNumber:
    """An int32 of the skeleton: factor * kept length of the axis.

    Attributes:
      part: `SHAPE` or `SIGNATURE` of a tensor, `VALUES` of a constant, or
        `NEW_SHAPE` of an operator.
      number: of the tensor or operator.
      place: of the int32 in its vector.
      factor, axis: see above.
    """

    part: str
    number: int
    place: int
    factor: int
    axis: Axis


class Layout:
    """All vectors and numbers of a file that a slice plan names.

    Args:
      file, labels, groups: of one file.

    Attributes:
      vectors, numbers: see `MovedVector` and `PatchedNumber`.
    """

    def __init__(
        self, file: FileModel, labels: ChannelLabels, groups: Groups
    ) -> None:
        self._file, self._labels, self._groups = file, labels, groups
        labelled = sorted(
            {*labels.last, *(tensor for tensor, _ in labels.others)}
        )
        self.vectors = [
            vector for tensor in labelled for vector in self._vectors_of(tensor)
        ]
        self.numbers = [
            number for tensor in labelled for number in self._shape_of(tensor)
        ]
        for place, operator in enumerate(file.operators):
            if operator.kind == "RESHAPE":
                self.numbers += self._target_of(place)

    def _dimension(self, tensor: int, place: int) -> Dimension | None:
        rank = len(self._file.shape(tensor))
        if place == rank - 1:
            return self._labels.last.get(tensor)
        return self._labels.others.get((tensor, place))

    def _axes(self, tensor: int) -> tuple[Axis, ...]:
        """Its dimensions; neighbours that hold no channels are one."""
        axes: list[Axis] = []
        plain = 1  # size of the neighbours so far
        for place, size in enumerate(self._file.shape(tensor)):
            dimension = self._dimension(tensor, place)
            plain *= size if dimension is None else dimension.repeats
            if dimension is not None:
                axes += [_fixed(plain)] if plain > 1 else []
                axes.append(self._groups.axis(dimension.atoms))
                plain = 1
        return (*axes, _fixed(plain)) if plain > 1 else tuple(axes)

    def _vectors_of(self, tensor: int) -> Iterator[MovedVector]:
        file = self._file
        if not file.is_constant(tensor):
            return
        yield MovedVector(
            BUFFER, tensor, file.values(tensor).ravel(), self._axes(tensor)
        )
        quantization = file.tensors[tensor].quantization
        if quantization is None or quantization.scale is None:
            return
        if len(quantization.scale) > 1:
            dimension = self._dimension(tensor, quantization.quantizedDimension)
            if dimension is None:
                raise ValueError(
                    f"tensor '{file.name(tensor)}' is quantised along another "
                    "dimension than its channels"
                )
            axes = (self._groups.axis(dimension.atoms),)
            scale = np.array(quantization.scale, np.float32)
            zero = np.array(quantization.zeroPoint, np.int64)
            yield MovedVector(SCALE, tensor, scale, axes)
            if len(zero) > 1:
                yield MovedVector(ZERO_POINT, tensor, zero, axes)

    def _shape_of(self, tensor: int) -> Iterator[PatchedNumber]:
        parts = [SHAPE]
        if self._file.tensors[tensor].shapeSignature is not None:
            parts.append(SIGNATURE)
        for place in range(len(self._file.shape(tensor))):
            dimension = self._dimension(tensor, place)
            if dimension is None:
                continue
            axis = self._groups.axis(dimension.atoms)
            if not _is_fixed(axis):
                for part in parts:
                    yield PatchedNumber(
                        part, tensor, place, dimension.repeats, axis
                    )

    def _target_of(self, place: int) -> Iterator[PatchedNumber]:
        """The sizes that a RESHAPE holds beside those of its output."""
        operator = self._file.operators[place]
        (target,) = operator.outputs
        dimension = self._labels.last[target]
        axis = self._groups.axis(dimension.atoms)
        if _is_fixed(axis):
            return
        last = len(self._file.shape(target)) - 1
        size = self._file.shape(target)[-1]
        for tensor in operator.inputs[1:]:
            if int(self._file.values(tensor)[last]) == size:
                yield PatchedNumber(
                    VALUES, tensor, last, dimension.repeats, axis
                )
        options = operator.options
        if options is not None and options.newShape is not None:
            if int(options.newShape[last]) == size:
                yield PatchedNumber(
                    NEW_SHAPE, place, last, dimension.repeats, axis
                )


def _fixed(size: int) -> Axis:
    return (Segment(FIXED, 0, size),)


def _is_fixed(axis: Axis) -> bool:
    return all(x.group == FIXED for x in axis)
