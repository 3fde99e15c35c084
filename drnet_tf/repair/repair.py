"""`repair`: a pruned network made to reproduce the full one, without labels."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from drnet_tf.fingerprints import fingerprint
from drnet_tf.graph import Graph, read_graph
from drnet_tf.graph_building import copied
from drnet_tf.progress import DelayedBar
from drnet_tf.pruning import PrunedModel
from drnet_tf.pruning.pruned_model import lineage_of
from drnet_tf.repair.activations import ArrayStore, batch_size_for
from drnet_tf.repair.fitting import Fitting
from drnet_tf.repair.images import check_images
from drnet_tf.repair.journal import Journal
from drnet_tf.repair.plan import Plan, make_plan
from drnet_tf.repair.reference import Images, Reference
from drnet_tf.repair.report import LayerRepair, RepairedModel, RepairReport
from drnet_tf.work_folders import digest_of, open_folder

METHODS = ("least_squares", "norms")
SAMPLES = 12_000
# The last leaves a layer as it is, nearly: where images are too few.
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 1e3)
MAX_BYTES = 1 << 30


def repair(
    pruned: PrunedModel,
    full_model: keras.Model,
    images: np.ndarray | Sequence[np.ndarray],
    method: str = "least_squares",
    *,
    samples: int = SAMPLES,
    ridge: float | None = None,
    batch_size: int | None = None,
    max_bytes: int = MAX_BYTES,
    seed: int = 0,
    work_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> RepairedModel:
    """Gives a pruned network new weights, from images without labels.

    A mask is 0 or 1; what the other channels gave is missing in all that is
    left. "least_squares" goes through the network layer by layer: each
    convolution and Dense layer, on the inputs that the repaired layers before
    it make, is refitted to the full network's outputs of the same layer, before
    norm and activation, on the channels that are kept; see `ridge.solve`. The
    last layer of a branch that ends in an addition is fitted so that the sum
    matches. "norms" only changes the statistics of batch norms; see
    `norms.match_moments`.

    Each layer of both networks runs once on every image. Of a layer's samples
    sums of products are kept, or themselves while that is less; see `samples`.

    Args:
      pruned: by `prune(full_model, ...)`, repaired or not; it is not changed.
      full_model: the network it was cut from; it is not changed.
      images: `(N, ...)` as the network expects them, some hundreds, of the
        classes that are wanted; a sequence of arrays for several inputs.
      method: "least_squares" or "norms".
      samples: places of the images that each layer is fitted to, drawn by seed.
      ridge: how strongly weights are held to what they were, as a share of the
        mean variance of the layer's inputs, > 0; None: each layer takes the one
        of `RIDGES` that does best on images held back from it.
      batch_size: images that are run at a time; None: by the network's size.
      max_bytes: of activations that are held in memory; the rest waits in a
        temporary folder.
      seed: decides the places.
      work_dir: folder where layers are kept that are done; a stopped run that
        is started again with the same arguments goes on there.
      progress: whether to show a bar if it takes long.

    Returns:
      A `RepairedModel`: the same shapes, new weights, and in `.repair` what was
      done.

    Raises:
      TypeError: not a pruned network.
      ValueError: it stems from another network, or the images do not suit.

    Warns:
      UserWarning: layers have fewer samples than unknowns.
    """
    (repaired,) = repair_all(
        [(pruned, method)],
        full_model,
        images,
        samples=samples,
        ridge=ridge,
        batch_size=batch_size,
        max_bytes=max_bytes,
        seed=seed,
        work_dir=work_dir,
        progress=progress,
    )
    return repaired


def repair_all(
    pruned: Sequence[tuple[PrunedModel, str]],
    full_model: keras.Model,
    images: np.ndarray | Sequence[np.ndarray],
    *,
    samples: int = SAMPLES,
    ridge: float | None = None,
    batch_size: int | None = None,
    max_bytes: int = MAX_BYTES,
    seed: int = 0,
    work_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> list[RepairedModel]:
    """Repairs several networks cut from one, which is run once for all.

    Args:
      pruned: networks and the method for each.
      full_model, images and all others: as for `repair`.

    Returns:
      The same networks as `repair` gives for each.
    """
    for network, method in pruned:
        lineage_of(network, full_model, "repair")
        _check_settings(method, samples, ridge, batch_size)
    full = read_graph(full_model)
    arrays = _shuffled(check_images(full, images), seed)
    size = batch_size or batch_size_for(full)
    batches = [slice(i, i + size) for i in range(0, len(arrays[0]), size)]
    drawn = Images(arrays, batches, samples, seed)
    ridges = (ridge,) if ridge else RIDGES
    journals = _journals(work_dir, pruned, full_model, drawn, ridges)
    copies = [_Copy(network, method, full) for network, method in pruned]
    with ArrayStore(max_bytes) as store:
        reference = Reference(full, [x.plan for x in copies], drawn, store)
        fittings = [
            Fitting(x.graph, x.plan, reference, drawn, ridges, store, journal)
            for x, journal in zip(copies, journals, strict=True)
        ]
        _run(reference, fittings, copies, len(batches), progress)
    return [
        x.repaired(fitting.layers, len(drawn))
        for x, fitting in zip(copies, fittings, strict=True)
    ]


class _Copy:
    """A pruned network's copy, which takes the new weights.

    Args:
      network: the pruned network; it is not changed.
      method: of its repair.
      full: graph of the full network.
    """

    def __init__(self, network: PrunedModel, method: str, full: Graph) -> None:
        self._network, self._method = network, method
        self._model = copied(network.model)
        self.graph = read_graph(self._model)
        lineage = network.lineage
        if lineage is None:
            raise ValueError("repair: a network without lineage.")
        plan = make_plan(full, self.graph, lineage)
        self.plan = _only(method, plan, self._model.name)

    def repaired(
        self, layers: Sequence[LayerRepair], images: int
    ) -> RepairedModel:
        """The copy with what was done; warns of layers with few samples."""
        report = RepairReport(
            self._method,
            images,
            tuple(layers),
            tuple(self.plan.norms),
            self.plan.left,
        )
        _warn_of_few_samples(report)
        network = self._network
        return RepairedModel(
            network.report, self._model, network.lineage, report
        )


def _journals(
    work_dir: str | os.PathLike[str] | None,
    pruned: Sequence[tuple[PrunedModel, str]],
    full_model: keras.Model,
    images: Images,
    ridges: Sequence[float],
) -> list[Journal | None]:
    """One for each network, in folders of their own."""
    if work_dir is None:
        return [None] * len(pruned)
    open_folder(work_dir)
    common = {
        "full_model": fingerprint(full_model),
        "seed": images.seed,
        "samples": images.samples,
        "ridges": list(ridges),
        "batches": len(images.batches),
        "images": [digest_of(x) for x in images.arrays],
    }
    return [
        Journal(
            Path(work_dir, f"network_{number}"),
            {**common, "method": method, "model": fingerprint(network.model)},
        )
        for number, (network, method) in enumerate(pruned)
    ]


def _run(
    reference: Reference,
    fittings: Sequence[Fitting],
    copies: Sequence[_Copy],
    batches: int,
    progress: bool,
) -> None:
    # A pruned network, its sums included, takes about as long as the full one.
    bar = DelayedBar((1 + len(fittings)) * batches, "step")
    for number in reference.read():
        if progress:
            bar.update(number + 1)
    for turn, (fitting, copy) in enumerate(
        zip(fittings, copies, strict=True), 1
    ):
        for number in fitting.run():
            share = (number + 1) / len(copy.graph.calls)
            if progress:
                bar.update(int((turn + share) * batches))
    if progress:
        bar.close()


def _shuffled(arrays: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Images of one class often stand together; every batch gets of all."""
    order = np.random.default_rng(seed).permutation(len(arrays[0]))
    return [x[order] for x in arrays]


def _only(method: str, plan: Plan, name: str) -> Plan:
    if method == "least_squares":
        return dataclasses.replace(plan, norms={})
    if not plan.norms:
        raise ValueError(
            f"repair, model '{name}': method 'norms' changes batch norms, and "
            "it has none; pass method='least_squares'."
        )
    return dataclasses.replace(plan, refits={})


def _check_settings(
    method: str, samples: int, ridge: float | None, batch_size: int | None
) -> None:
    if method not in METHODS:
        raise ValueError(
            f"repair: unknown method {method!r}, expected one of "
            f"{', '.join(METHODS)}."
        )
    if ridge is not None and not ridge > 0:
        raise ValueError(
            f"repair: ridge is {ridge}, expected a number above 0, e.g. 0.01, "
            "or None."
        )
    for what, value in (("samples", samples), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise ValueError(f"repair: {what} is {value}, expected at least 1.")


def _warn_of_few_samples(report: RepairReport) -> None:
    names = report.underdetermined
    if names:
        shown = ", ".join(f"'{name}'" for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        warnings.warn(
            f"repair: {report.images} images give fewer samples than unknowns "
            f"in {shown}{more}; what they leave open stays as it was. More "
            "images, or a larger `samples`, make the repair better.",
            stacklevel=5,
        )
