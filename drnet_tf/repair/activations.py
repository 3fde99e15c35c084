"""Runs networks piece by piece and holds what is still to be read."""

from __future__ import annotations

import collections
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from drnet_tf.graph import Call, Graph, TensorRef


class ArrayStore:
    """Arrays by key, in memory up to a limit, beyond it in files.

    What is held in memory may be a tensor of the backend, which a layer reads
    as it is; it becomes an array for those who ask for one.

    Args:
      max_bytes: held in memory.

    Use it as a context: its files go at the end.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: dict[Any, Any] = {}
        self._filed: dict[Any, Path] = {}
        self._bytes = 0
        self._count = 0
        self._folder = tempfile.TemporaryDirectory(prefix="drnet_repair_")

    def __enter__(self) -> ArrayStore:
        return self

    def __exit__(self, *_: Any) -> None:
        self._folder.cleanup()

    def __setitem__(self, key: Any, values: Any) -> None:
        size = _bytes_of(values)
        if self._bytes + size <= self._max_bytes:
            self._held[key] = values
            self._bytes += size
            return
        self._count += 1
        path = Path(self._folder.name) / f"{self._count}.npy"
        np.save(path, as_array(values))
        self._filed[key] = path

    def __getitem__(self, key: Any) -> np.ndarray:
        return as_array(self.values(key))

    def values(self, key: Any) -> Any:
        """An array or a tensor, without a copy of it."""
        return (
            self._held[key] if key in self._held else np.load(self._filed[key])
        )

    def remove(self, key: Any) -> None:
        """Lets an array go."""
        if key in self._held:
            self._bytes -= _bytes_of(self._held.pop(key))
        else:
            self._filed.pop(key).unlink()


def run_call(call: Call, values: dict[int, Any]) -> list[Any]:
    """Runs one call at inference.

    Args:
      call: of the graph.
      values: arrays or tensors by number of tensor, of all that it reads.

    Returns:
      One tensor of the backend for each of `call.outputs`.
    """
    args, kwargs = keras.tree.map_structure(
        lambda x: (
            keras.ops.convert_to_tensor(values[x.index])
            if isinstance(x, TensorRef)
            else x
        ),
        (call.args, call.kwargs),
    )
    return keras.tree.flatten(call.operation(*args, **kwargs))


def run_image_by_image(
    graph: Graph,
    images: Sequence[np.ndarray],
    batches: Sequence[slice],
    visit: Callable[[int, Call, dict[int, Any]], None],
) -> Iterator[int]:
    """Runs a whole network on one batch after another.

    Args:
      graph: of the network.
      images: one array for each of `graph.inputs`.
      batches: of the images.
      visit: is given the number of the batch, a call that has run, and all
        tensors that are still there, its inputs and outputs included; see
        `as_array`.

    Yields:
      The number of every batch that is done.
    """
    last = last_reads(graph)
    for number, batch in enumerate(batches):
        values: dict[int, Any] = {
            tensor: _as_read(graph, tensor, array[batch])
            for tensor, array in zip(graph.inputs, images, strict=True)
        }
        for call in graph.calls:
            outputs = run_call(call, values)
            values.update(zip(call.outputs, outputs, strict=True))
            visit(number, call, values)
            for tensor in last[call.name]:
                del values[tensor]
        yield number


def run_layer_by_layer(
    graph: Graph,
    images: Sequence[np.ndarray],
    batches: Sequence[slice],
    store: ArrayStore,
    reach: Callable[[Call], None],
) -> Iterator[int]:
    """Runs one call after another, each on all images.

    Args:
      graph: of the network; what `reach` does to its layers counts.
      images: one array for each of `graph.inputs`.
      batches: of the images.
      store: takes the tensors, by their number and that of the batch, until
        nobody reads them any more.
      reach: is given every call before it runs, when its inputs are there.

    Yields:
      The number of every call that is done.
    """
    last = last_reads(graph)
    for tensor, array in zip(graph.inputs, images, strict=True):
        for number, batch in enumerate(batches):
            store[tensor, number] = _as_read(graph, tensor, array[batch])
    for place, call in enumerate(graph.calls):
        reach(call)
        for number in range(len(batches)):
            values = {x: store.values((x, number)) for x in set(call.inputs)}
            outputs = run_call(call, values)
            for tensor, output in zip(call.outputs, outputs, strict=True):
                store[tensor, number] = output
            for tensor in last[call.name]:
                store.remove((tensor, number))
        yield place


def last_reads(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Which tensors nobody reads any more after a call, by its name.

    Example:
      >>> from drnet_tf.graph import read_graph
      >>> x = keras.Input((4,))
      >>> y = keras.layers.ReLU(name="relu")(x)
      >>> y = keras.layers.Add(name="add")([x, y])
      >>> last_reads(read_graph(keras.Model(x, y)))
      {'relu': (), 'add': (0, 1, 2)}
    """
    readers = {
        tensor: call.name
        for call in graph.calls
        for tensor in (*call.outputs, *call.inputs)
    }
    found: dict[str, list[int]] = collections.defaultdict(list)
    for tensor, name in readers.items():
        found[name].append(tensor)
    return {call.name: tuple(sorted(found[call.name])) for call in graph.calls}


def batch_size_for(graph: Graph, max_bytes: int = 1 << 26) -> int:
    """Images of which the largest tensor takes `max_bytes`, 1 to 128."""
    largest = max(
        4 * int(np.prod([size or 1 for size in tensor.shape[1:]]))
        for tensor in graph.tensors
    )
    return int(np.clip(max_bytes // largest, 1, 128))


def as_array(values: Any) -> np.ndarray:
    """An array of a tensor of the backend, or of an array itself."""
    if isinstance(values, np.ndarray):
        return values
    array = keras.ops.convert_to_numpy(values)
    # NumPy's files do not know bfloat16.
    return array.astype("float32") if array.dtype.kind == "V" else array


def _as_read(graph: Graph, tensor: int, images: np.ndarray) -> np.ndarray:
    """Images in the input's type, as a model makes them; a call does not."""
    return images.astype(graph.tensors[tensor].dtype, copy=False)


def _bytes_of(values: Any) -> int:
    """In memory; what has less than 4 bytes a number counts as 4."""
    number = keras.backend.standardize_dtype(values.dtype)
    return (8 if number.endswith("64") else 4) * int(np.prod(values.shape))
