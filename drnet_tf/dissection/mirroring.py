"""Several devices of one machine, each of which runs whole batches.

With `tf.distribute.MirroredStrategy`: variables made in its scope exist on each
device, and one compiled function holds the work of all of them, which runs side
by side. No batch is split and nothing is summed across devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras


def mirrored_strategy(devices: Sequence[str]) -> Any:
    """The strategy of some devices.

    Args:
      devices: names such as `"GPU:0"`, all different.

    Raises:
      ValueError: a device is not there or named twice, or the Keras backend is
        not TensorFlow.

    Example:
      >>> mirrored_strategy(["CPU:0", "GPU:99"])
      Traceback (most recent call last):
      ...
      ValueError: devices: got CPU:0, GPU:99, expected different ones out of \
CPU:0...
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"devices: got {', '.join(devices)} on the Keras backend "
            f"'{keras.backend.backend()}', expected 'tensorflow'; set "
            "KERAS_BACKEND to it, or leave the devices out."
        )
    import tensorflow as tf

    logical = tf.config.list_logical_devices()
    there = [
        f"{d.device_type}:{d.name.split(':')[-1]}"
        for d in logical
        if d.device_type in ("CPU", "GPU")
    ]
    if len(set(devices)) < len(devices) or not set(devices) <= set(there):
        raise ValueError(
            f"devices: got {', '.join(devices)}, expected different ones out "
            f"of {', '.join(there)}; name those, or leave the devices out."
        )
    return tf.distribute.MirroredStrategy(list(devices))


def compiled_on(
    strategy: Any,
    function: Callable[..., Any],
    shapes: Sequence[tuple[int | None, ...]],
) -> Callable[..., list[Any]]:
    """Compiles a function once for all devices, with an open batch axis.

    Args:
      strategy: see `mirrored_strategy`; in its scope the variables were made.
      function: of as many float32 tensors as there are `shapes`; returns a
        tuple of tensors.
      shapes: None for an axis that may change from call to call.

    Returns:
      A function of a list of first arguments, one a device, and of the others,
      which all devices share. It returns a list of results, one a device.
    """
    import tensorflow as tf

    first, *rest = (tf.TensorSpec(shape, tf.float32) for shape in shapes)

    def run(firsts: Sequence[Any], *others: Any) -> list[Any]:
        def of_one_device() -> Any:
            context = tf.distribute.get_replica_context()
            # Each device's part of the graph is traced for itself.
            number = tf.get_static_value(context.replica_id_in_sync_group)
            return function(firsts[int(number)], *others)

        results = strategy.run(of_one_device)
        by_device = map(strategy.experimental_local_results, results)
        return list(zip(*by_device, strict=True))

    return tf.function(
        run,
        input_signature=[[first] * strategy.num_replicas_in_sync, *rest],
        autograph=False,
    )
