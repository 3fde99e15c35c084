"""`prune`: the physically smaller network of a mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras

from drnet_tf.channels.analysis import analyse
from drnet_tf.channels.channel_flow import MaskedSite
from drnet_tf.classifier import find_classifier
from drnet_tf.fingerprints import fingerprint
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Call, read_graph
from drnet_tf.masks import ChannelMask
from drnet_tf.names import check_is_sequence
from drnet_tf.pruning.accounting import account, count_sizes
from drnet_tf.pruning.lineage import Lineage, trace_lineage
from drnet_tf.pruning.report import PruneReport
from drnet_tf.pruning.surgery.rebuild import rebuild
from drnet_tf.pruning.surgery.silencing import silence
from drnet_tf.pruning.verification import check_equal
from drnet_tf.sites import gate_sites, keep_by_tensor, sites_for


@dataclasses.dataclass(frozen=True)
class PrunedModel:
    """A physically smaller network.

    Attributes:
      model: plain Keras layers only; not compiled. After a dry run reading it
        raises a ValueError.
      report: what became of every layer.
      lineage: which tensors of the full network its tensors stem from; None
        after a dry run.
    """

    report: PruneReport
    built: keras.Model | None = None
    lineage: Lineage | None = None

    @property
    def model(self) -> keras.Model:
        if self.built is None:
            raise ValueError(
                f"PrunedModel of '{self.report.model}': this was a dry run, "
                "which builds no model; call prune without dry_run=True."
            )
        return self.built


def prune(
    model: keras.Model,
    mask: ChannelMask,
    *,
    classes: Sequence[int] | Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    dry_run: bool = False,
    verify: bool = False,
) -> PrunedModel:
    """Removes the channels that a mask silences.

    The outputs are those of `apply_mask(model, mask)`, up to rounding of the
    arithmetic (1e-5 of the output's scale in float32), for every mask, also one
    that empties a layer. A channel that cannot go stays, is made zero, and is
    named in the report. `model` is not changed.

    Args:
      model: a Functional or Sequential network.
      mask: which channels to keep; a mask for other sites, or that names
        another model's fingerprint, is refused.
      classes: keeps only these rows of the classifier, in this order: numbers,
        or names if `class_names` is given. A softmax output then is the softmax
        over these classes. None keeps the classifier whole.
      class_names: name of every row of the full classifier.
      dry_run: analyses only: the report is there, a model is not.
      verify: runs random inputs through both networks, in float64, and compares
        every tensor.

    Returns:
      The small network, with names, trainable flags, regularizers and dtype
      policies of the full one, and the report.

    Raises:
      TypeError: `model` is subclassed, or no Keras model; `mask` is no mask.
      ValueError: the mask or the classes do not suit the model; or, with
        `verify`, the first layer whose values differ.

    Example:
      >>> import keras
      >>> import numpy as np
      >>> model = keras.Sequential([
      ...     keras.Input((8, 8, 3)),
      ...     keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
      ...     keras.layers.Flatten(),
      ...     keras.layers.Dense(10, activation="softmax"),
      ... ])
      >>> mask = ChannelMask({"conv": np.array([True, False, False, True])})
      >>> small = prune(model, mask, classes=(3, 1)).model
      >>> small.get_layer("conv").filters, small.output_shape
      (2, (None, 2))
    """
    gate_sites(model)  # refuses what has none
    if not isinstance(mask, ChannelMask):
        raise TypeError(
            f"mask: got a {type(mask).__name__}, expected a ChannelMask; make "
            "one by union() or load it by ChannelMask.load()."
        )
    graph = read_graph(model)
    sites = sites_for(graph, mask.channels)
    _check_mask(model, mask, sites)
    head, rows = _find_rows(model, classes, class_names)
    keep = keep_by_tensor(sites, mask.keep)
    flow = analyse(
        graph,
        {
            place.tensor: MaskedSite(site.name, place.axis, keep[place.tensor])
            for site in sites
            for place in site.places
        },
        head,
        rows,
    )
    silenced = silence(flow)
    if dry_run:
        return PrunedModel(account(model, flow, silenced, count_sizes(flow)))
    built = rebuild(model, flow)
    if verify:
        check_equal(flow, built.model, built.tensors)
    return PrunedModel(
        account(model, flow, silenced, built.sizes),
        built.model,
        trace_lineage(model, flow, built),
    )


def lineage_of(
    pruned: PrunedModel, full_model: keras.Model, caller: str
) -> Lineage:
    """How a pruned network stems from the full one that is given with it.

    Args:
      pruned: by `prune`, or what was made of it since.
      full_model: the very model that was pruned.
      caller: whose name stands in the errors.

    Raises:
      TypeError: `pruned` is no `PrunedModel`.
      ValueError: it is that of another model, or of a dry run.
    """
    if not isinstance(pruned, PrunedModel):
        raise TypeError(
            f"{caller}: got a {type(pruned).__name__}, expected what "
            "drnet.prune returns; pass that, not its model."
        )
    name = pruned.model.name  # refuses a dry run
    lineage = pruned.lineage
    if lineage is None or lineage.full_model() is not full_model:
        raise ValueError(
            f"{caller}: the pruned model '{name}' was not cut from the "
            f"full_model given, '{getattr(full_model, 'name', full_model)}'; "
            "pass the very model that was pruned, or prune this one."
        )
    return lineage


def _check_mask(
    model: keras.Model, mask: ChannelMask, sites: tuple[GateSite, ...]
) -> None:
    mask.check_sites({x.name: x.channels for x in sites}, model.name)
    made_for = mask.provenance.get("fingerprint")
    if made_for and made_for != fingerprint(model):
        raise ValueError(
            f"mask: it was made for a model with the fingerprint "
            f"{made_for[:12]}..., got '{model.name}' with "
            f"{fingerprint(model)[:12]}...; pass the model that the mask was "
            "made for."
        )


def _find_rows(
    model: keras.Model,
    classes: Sequence[int] | Sequence[str] | None,
    class_names: Sequence[str] | None,
) -> tuple[Call | None, tuple[int, ...]]:
    """The classifier's call and the rows to keep; None if all stay."""
    if classes is None:
        return None, ()
    check_is_sequence(classes)
    classifier = find_classifier(model)
    num_classes = classifier.num_classes
    if class_names is not None and len(class_names) != num_classes:
        raise ValueError(
            f"class_names: got {len(class_names)} names, expected "
            f"{num_classes}, one for each row of the classifier."
        )
    rows = tuple(
        _class_row(entry, class_names, num_classes) for entry in classes
    )
    if not rows:
        raise ValueError(
            "classes: got none, expected at least one; pass None to keep all."
        )
    for place, row in enumerate(rows):
        if row in rows[:place]:
            raise ValueError(
                f"classes: {classes[place]!r} is there twice, expected every "
                "class once."
            )
    return classifier.call, rows


def _class_row(
    entry: int | str, class_names: Sequence[str] | None, num_classes: int
) -> int:
    if isinstance(entry, str):
        if class_names is None:
            raise ValueError(
                f"classes: got the name '{entry}', but no class_names to look "
                "it up in; pass class_names, or row numbers."
            )
        if entry not in class_names:
            raise ValueError(
                f"classes: unknown class '{entry}', expected one of "
                f"{', '.join(class_names)}."
            )
        return list(class_names).index(entry)
    row = int(entry)
    if row != entry or not 0 <= row < num_classes:
        raise ValueError(
            f"classes: got row {entry}, expected a whole number from 0 to "
            f"{num_classes - 1}."
        )
    return row
