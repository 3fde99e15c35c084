"""Runs and times LiteRT files on the CPU, without TensorFlow or Keras."""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Sequence

import numpy as np

from drnet_tflite.loaded_model import LoadedModel, TensorInfo, check_count


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long one image takes, in milliseconds.

    Attributes:
      median_ms, mean_ms, min_ms: over the timed runs; the median is the figure
        to compare, the minimum the least disturbed by other programs.
      runs: number of timed runs.
      threads: number of threads the runtime was given.
    """

    median_ms: float
    mean_ms: float
    min_ms: float
    runs: int
    threads: int


def run(
    path: str | os.PathLike[str], images: np.ndarray, *, threads: int = 1
) -> np.ndarray:
    """Runs a file on images, one after the other.

    Args:
      path: a `.tflite` file with one input and one output.
      images: `(images, height, width, channels)`, preprocessed as the network
        was trained, whatever the format of the file: they are real values,
        which a quantized input stores by its own scale and zero point. They
        are converted to the file's input type where that loses no more than
        precision (bytes to float, say).
      threads: threads of the runtime.

    Returns:
      The outputs, `(images, classes)` for a classifier; of a quantized output
      the float32 values that it stands for.

    Raises:
      ValueError: the file is missing, damaged or of another form, or the images
        do not fit it or are not finite.

    Example:
      >>> scores = run("digits.tflite", images)  # doctest: +SKIP
      >>> scores.argmax(axis=-1)  # doctest: +SKIP
      array([3, 8])
    """
    model = LoadedModel(path, threads=threads)
    batch = fitting(np.asarray(images), model.input, path)
    outputs = np.empty(
        (len(batch), *model.output.shape[1:]), model.output.dtype
    )
    for number, image in enumerate(batch):
        model.set_image(model.input.quantize(image[None]))
        model.invoke()
        outputs[number] = model.scores()[0]
    return model.output.dequantize(outputs)


def measure_latency(
    path: str | os.PathLike[str],
    *,
    runs: int = 50,
    warmup: int = 5,
    threads: int = 1,
    seed: int = 0,
) -> Latency:
    """Times a file on this machine's CPU with one random image.

    Args:
      path: a `.tflite` file with one input and one output.
      runs: timed runs.
      warmup: runs before them that are not timed.
      threads: threads of the runtime.
      seed: decides the image.

    Raises:
      ValueError: as `run`, or a number is too small.

    Example:
      >>> measure_latency("digits.tflite").median_ms  # doctest: +SKIP
      0.041
    """
    (latency,) = compare_latency(
        [path], runs=runs, warmup=warmup, threads=threads, seed=seed
    )
    return latency


def compare_latency(
    paths: Sequence[str | os.PathLike[str]],
    *,
    runs: int = 50,
    warmup: int = 5,
    threads: int = 1,
    seed: int = 0,
) -> tuple[Latency, ...]:
    """Times several files side by side, so that their ratios can be trusted.

    The runs are interleaved, A B A B ..., so that whatever else the machine
    does meanwhile slows all files alike.

    Args:
      paths: `.tflite` files with one input and one output each.
      runs, warmup, threads, seed: as for `measure_latency`, for each file.

    Returns:
      One `Latency` a file, in the order of `paths`.

    Raises:
      ValueError: as `measure_latency`.
      TypeError: `paths` is one path.

    Example:
      >>> full, small = compare_latency(
      ...     ["full.tflite", "small.tflite"]
      ... )  # doctest: +SKIP
      >>> full.median_ms / small.median_ms  # doctest: +SKIP
      3.4
    """
    if isinstance(paths, str | os.PathLike):
        raise TypeError(
            f"paths: got the single path '{paths}', expected a list of paths; "
            "use measure_latency for one file."
        )
    check_count("runs", runs, least=1)
    check_count("warmup", warmup, least=0)
    models = [LoadedModel(path, threads=threads) for path in paths]
    for model in models:
        model.set_image(_random_image(model.input, seed))
    times: list[list[float]] = [[] for _ in models]
    for number in range(warmup + runs):
        for model, taken in zip(models, times, strict=True):
            start = time.perf_counter()
            model.invoke()
            seconds = time.perf_counter() - start
            if number >= warmup:
                taken.append(1e3 * seconds)
    return tuple(
        Latency(
            statistics.median(taken),
            statistics.fmean(taken),
            min(taken),
            runs,
            threads,
        )
        for taken in times
    )


def _random_image(tensor: TensorInfo, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    dtype = np.dtype(tensor.dtype)
    if dtype.kind in "iu":
        return generator.integers(0, 128, tensor.shape).astype(dtype)
    return generator.uniform(-1.0, 1.0, tensor.shape).astype(dtype)


def fitting(
    images: np.ndarray, tensor: TensorInfo, path: str | os.PathLike[str]
) -> np.ndarray:
    """`images` in the type in which the input takes them, after all checks."""
    if images.shape[1:] != tensor.shape[1:]:
        expected = ", ".join(map(str, ("images", *tensor.shape[1:])))
        raise ValueError(
            f"images: got the shape {images.shape}, but '{path}' expects "
            f"({expected}); resize them, or add the first axis to one image."
        )
    dtype = tensor.dtype if tensor.scale is None else "float32"
    numbers_to_float = images.dtype.kind in "biuf" and "float" in dtype
    if not numbers_to_float and not np.can_cast(images.dtype, dtype):
        raise ValueError(
            f"images: got {images.dtype}, but '{path}' expects {dtype}; "
            "convert them with astype."
        )
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise ValueError(
            "images: some values are NaN or infinite; remove those images or "
            "repair their preprocessing."
        )
    return images.astype(dtype, copy=False)
