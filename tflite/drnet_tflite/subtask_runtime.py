"""`SubTaskRuntime`: asks for class names, gives a network that runs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.cpu_options import CpuOptions
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import Options

from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.whole_files import written_whole
from drnet_tflite.loaded_model import TensorInfo, check_count, read_tensors
from drnet_tflite.native_log import native_log_hidden
from drnet_tflite.runtime import fitting
from drnet_tflite.subtask_cache import CachedModel, SubTaskCache

_ATTEMPTS = 3  # another process may remove a file before it is opened


class SubTaskRuntime:
    """Runs the sub-networks of a bundle, which it cuts out when asked for them.

    They stay in a folder, with the weights that XNNPACK has packed for each, so
    that the next start takes milliseconds. Several processes may share it.

    Args:
      bundle: of `write_bundle`, or the path of one.
      folder: of the cache; must have no other use.
      max_bytes: of the cache.
      threads: of each network.

    Raises:
      BundleError: the bundle is damaged, its weights included.

    Example:
      >>> runtime = SubTaskRuntime("pets.tflite", "cache")  # doctest: +SKIP
      >>> network = runtime.open(["cat", "dog"], kept_fraction=0.3)
      ... # doctest: +SKIP
      >>> network.labels[network.run(images)[0].argmax()]  # doctest: +SKIP
      'dog'
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        folder: str | os.PathLike[str],
        *,
        max_bytes: int = 1 << 28,
        threads: int = 1,
    ) -> None:
        check_count("threads", threads, least=1)
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
        self.bundle.verify()
        self._cache = SubTaskCache(folder, max_bytes)
        self._threads = threads

    def open(
        self,
        classes: Sequence[str],
        *,
        threshold: float | None = None,
        kept_fraction: float | None = None,
        max_parameters: int | None = None,
        rule: str = "union",
        round_to: int = 8,
    ) -> SubTaskModel:
        """The network of a sub-task; the arguments are those of `extract`.

        Raises:
          BundleError: the request does not fit the bundle, or the cache cannot
            be written.
        """
        limits = threshold, kept_fraction, max_parameters

        def extract() -> bytes:
            return self.bundle.extract(
                classes,
                threshold=threshold,
                kept_fraction=kept_fraction,
                max_parameters=max_parameters,
                rule=rule,
                round_to=round_to,
            )

        request = repr(
            (self.bundle.identity, list(classes), limits, rule, round_to)
        )
        for attempt in range(_ATTEMPTS):
            cached = self._cache.get(request, extract)
            try:
                return SubTaskModel(cached, tuple(classes), self._threads)
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise BundleError(
                        f"Cache '{cached.path.parent}': other processes remove "
                        "its files at once; give each a folder, or more bytes."
                    ) from None
        raise AssertionError("unreachable")


class SubTaskModel:
    """A sub-network, loaded with its packed weights.

    Attributes:
      path: of its file.
      labels: its classes, in the order of its outputs.
      input, output: what it takes and gives.
    """

    def __init__(
        self,
        cached: CachedModel,
        labels: tuple[str, ...],
        threads: int,
    ) -> None:
        self.path, self.labels = cached.path, labels
        self.input: TensorInfo
        self.output: TensorInfo
        self.input, self.output = read_tensors(cached.path)
        if cached.weights.exists():
            model = _compiled(cached.path, cached.weights, threads)
        else:
            # XNNPACK writes in place: under a name that no other process reads.
            with written_whole(cached.weights) as partial:
                model = _compiled(cached.path, partial, threads)
        # What LiteRT holds, in one place: it logs lines when it lets it go.
        with native_log_hidden():
            inputs = model.create_input_buffers(0)
            inputs[0].write(np.zeros(self.input.shape, self.input.dtype))
            self._held = [model.create_output_buffers(0), inputs, model]
        weakref.finalize(self, _release, self._held)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Scores of images, one after the other; see `drnet_tflite.run`."""
        batch = fitting(np.asarray(images), self.input, self.path)
        outputs, inputs, model = self._held
        size = int(np.prod(self.output.shape))
        scores = []
        for image in batch:
            inputs[0].write(self.input.quantize(image[None]))
            model.run_by_index(0, inputs, outputs)
            found = outputs[0].read(size, np.dtype(self.output.dtype))
            scores.append(found.reshape(self.output.shape[1:]))
        return self.output.dequantize(np.stack(scores))


def _release(held: list[Any]) -> None:
    with native_log_hidden():
        held.clear()


def _compiled(path: Path, weights: Path, threads: int) -> Any:
    options = Options(
        hardware_accelerators=HardwareAccelerator.CPU,
        cpu_options=CpuOptions(
            num_threads=threads, xnnpack_weight_cache_path=os.fspath(weights)
        ),
    )
    with native_log_hidden():
        return CompiledModel.from_file(os.fspath(path), options=options)
