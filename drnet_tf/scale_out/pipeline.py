"""Dissection as an Apache Beam pipeline, on any of its runners.

    batches ─ learn ─▶ sums of classes ─ group by class ─▶ totals ─▶ one file

The images are drawn and the balance is found where the pipeline is started, by
the code of the local run; what is spread is the optimisation of the gates, 2 T
passes through the network for every image. An element of the pipeline is one of
the batches that the local run would form, as positions in the split, because
TensorFlow may choose another kernel, and so other last bits, for another batch
size. The sums of a class are added up in the order of the batches.

Equality: the file has the bytes of the local run's where the workers' kernels
give the same bits: processors (or GPUs) of one kind and one TensorFlow. On a
mixture gates may differ in their last bits, as between local runs there.

Failures: a batch that is learned twice gives the same sums, so runners that try
a bundle again (Dataflow, Flink, Spark) lose nothing when a worker dies. Beam's
DirectRunner does not try again: the run ends with an error. With `work_dir`, a
folder that all workers share, finished batches are kept in the journal of the
local run; the same call, or `dissect`, goes on there to the same bytes.
"""

from __future__ import annotations

import functools
import logging
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from drnet_tf.artifacts import check_writable
from drnet_tf.dissection.cdrp import CDRP, GateLearner
from drnet_tf.dissection.gate_plan import plan_gates
from drnet_tf.dissection.method import DrawnImages
from drnet_tf.dissection.preparation import check_names, prepare
from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance
from drnet_tf.scale_out.gate_worker import (
    GateBatch,
    GateTask,
    importance_of,
    in_order,
    sums_of_batch,
)
from drnet_tf.split_images import SplitImages


def dissect_on_beam(
    model: str,
    images: SplitImages,
    method: CDRP | None = None,
    *,
    output: str,
    options: Sequence[str] = (),
    images_per_class: int = 100,
    seed: int = 0,
    batch_size: int | None = None,
    coupling: str = "free",
    work_dir: str | None = None,
    progress: bool = True,
) -> ChannelImportance:
    """Dissects a network by a pipeline; see `dissect` for what is the same.

    Args:
      model: the `.keras` file, under a name that every worker can read.
      images: training images; the names of their classes are the network's.
      method: settings; by default `CDRP()`.
      output: the `.safetensors` file that the pipeline writes, on a file system
        that Beam knows.
      options: of the pipeline, such as `"--runner=DirectRunner"`.
      images_per_class, seed, batch_size, coupling, progress: see `dissect`.
      work_dir: a folder that all workers share, see above.

    Returns:
      The importance that was written, without images.

    Raises:
      ImportError: apache_beam is not installed.
      TypeError, ValueError: see `dissect`; an output that cannot be written.
      RuntimeError: a worker failed, and the runner gave up.
    """
    beam = _import_beam()
    if "://" not in output:
        check_writable(output)
    task, batches = _planned(
        model,
        images,
        method or CDRP(),
        images_per_class=images_per_class,
        seed=seed,
        batch_size=batch_size,
        coupling=coupling,
        work_dir=work_dir,
        progress=progress,
    )
    chosen = beam.options.pipeline_options.PipelineOptions(list(options))
    with beam.Pipeline(options=chosen) as pipeline:
        totals = (
            pipeline
            | "Batches" >> beam.Create(batches)
            | "Spread" >> beam.Reshuffle()
            | "Learn" >> beam.FlatMap(functools.partial(sums_of_batch, task))
            | "ByClass" >> beam.GroupByKey()
            | "AddUp" >> beam.Map(in_order)
        )
        _ = (
            pipeline
            | "Output" >> beam.Create([output])
            | "Write" >> beam.Map(_write, beam.pvalue.AsList(totals), task)
        )
    return _read(output)


def _planned(
    path: str, images: SplitImages, method: CDRP, **settings: Any
) -> tuple[GateTask, list[GateBatch]]:
    """What the local run does before it learns, with the same code."""
    model = keras.models.load_model(path, compile=False)
    stream = images.open()
    check_names(model, stream.class_names)
    learner = GateLearner(model, method, settings["coupling"])
    problem, config = prepare(
        model,
        images.dataset(stream),
        method,
        class_names=stream.class_names,
        **settings,
    )
    plan = plan_gates(learner, problem, config, fingerprint(model))
    work_dir = settings["work_dir"]
    plan.journal(work_dir)  # refuses another run's folder
    task = GateTask(
        secrets.token_hex(8),
        path,
        images,
        method,
        settings["coupling"],
        plan,
        work_dir,
    )
    return task, _batches(problem.images, problem.batch_size)


def _batches(images: DrawnImages, size: int) -> list[GateBatch]:
    """Those that `sampling.stream` forms."""
    positions = np.flatnonzero(images.classes >= 0)
    parts = [positions[i : i + size] for i in range(0, len(positions), size)]
    return [
        GateBatch(number, part, images.classes[part])
        for number, part in enumerate(parts)
    ]


def _write(output: str, totals: list[Any], task: GateTask) -> None:
    """Writes the result: by another name first, so that it appears whole."""
    from apache_beam.io.filesystems import FileSystems

    part = f"{output}.part"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "civ.safetensors"
        importance_of(task, totals).save(file)
        with FileSystems.create(part) as writer:
            writer.write(file.read_bytes())
    FileSystems.rename([part], [output])


def _read(output: str) -> ChannelImportance:
    from apache_beam.io.filesystems import FileSystems

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "civ.safetensors"
        with FileSystems.open(output) as reader:
            file.write_bytes(reader.read())
        return ChannelImportance.load(file)


def _import_beam() -> Any:
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it tells of clients that are not used
    try:
        import apache_beam as beam
        import apache_beam.options.pipeline_options
    except ImportError as error:
        raise ImportError(
            "Dissection on Apache Beam needs apache_beam; install it with "
            "`pip install drnet_tf[beam]`."
        ) from error
    finally:
        logging.disable(disabled)
    return beam
