"""`assemble`: several classifiers as one model of all their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.assembly.alignment import align_parts
from drnet_tf.assembly.component import Component, Part, check_components
from drnet_tf.assembly.copying import Copies
from drnet_tf.graph import Call, replay
from drnet_tf.graph_building import functional_model, make_names_unique
from drnet_tf.labeled_images import LabeledImages


def assemble(
    components: Sequence[Component],
    *,
    align: bool = True,
    scale: LabeledImages | None = None,
    name: str = "assembled",
) -> Component:
    """Joins components into one model that tells all their classes apart.

    It outputs the logits of the first component, then those of the second, and
    so on, each as the component itself gives them (a softmax at a component's
    end is left out: probabilities of different networks do not compete).

    Two ways give the same outputs. *Alignment padding* makes one chain of the
    width of all: a kernel (J, I) and one (V, U) become one (J + V, I + U) with
    zeros where one part would read the other; biases and norms are joined end
    to end, and the first layers, which read the same image, along their outputs
    only. *Branches* run the components side by side, without the zeros: fewer
    weights and multiplications, more calls; a Dense layer with the identity as
    its kernel takes their logits over.

    *Parameter scaling* multiplies row k of a head, and its bias, so that the
    mean winning logit of class k is 1: networks that were trained apart are not
    equally loud.

    Reference: Hu et al., "Model LEGO", NeurIPS 2024 (arXiv:2203.13453, version
    2) and its code github.com/jiaconghu/Model-LEGO.

    Departures: scaling is that of the code, on the head; the poster's, which
    scales every filter by the mean of all maps over its own, is not consistent
    with the statistics of batch norms. Which images are classified correctly is
    decided by the component, among its own classes.

    Args:
      components: two or more, with inputs of one shape and different classes.
        They are not changed.
      align: alignment padding, for components of one architecture, whatever
        their widths; False: branches, for any.
      scale: labelled images of all classes, by name; None: no scaling.
      name: of the new model.

    Returns:
      The new model, of plain Keras layers and not compiled, with the names of
      all classes in the order of its outputs.

    Raises:
      TypeError: something else than components.
      ValueError: fewer than two, inputs or preprocessings that differ, a class
        that two have;
        architectures that differ or cannot be aligned; no image to scale by.

    Example:
      >>> def network(units):
      ...     x = keras.Input((4, 4, 3))
      ...     y = keras.layers.Conv2D(5, 3, activation="relu")(x)
      ...     y = keras.layers.GlobalAveragePooling2D()(y)
      ...     return keras.Model(x, keras.layers.Dense(units)(y))
      >>> both = assemble([
      ...     Component(network(2), ("cat", "dog")),
      ...     Component(network(1), ("ship",)),
      ... ])
      >>> both.class_names, both.model.output_shape
      (('cat', 'dog', 'ship'), (None, 3))
    """
    components = list(components)
    check_components(components)
    parts = [Part(component) for component in components]
    if scale is not None:
        for part in parts:
            part.calibrate(scale)
    first = components[0].model.inputs[0]
    image = keras.Input(
        batch_shape=first.shape, dtype=first.dtype, name=first.name
    )
    logits = align_parts(parts, image) if align else _branch(parts, image)
    make_names_unique([image], [logits], set())
    names = tuple(x for part in components for x in part.class_names)
    known = [x.preprocessing for x in components if x.preprocessing is not None]
    return Component(
        functional_model(image, logits, name),
        names,
        known[0] if known else None,
    )


def _branch(parts: list[Part], image: Any) -> Any:
    """The logits of all parts, side by side."""
    logits = []
    for number, part in enumerate(parts, start=1):
        copies = Copies(part, f"part{number}_")

        def call(step: Call, args: Any, kwargs: Any, own: Any = copies) -> Any:
            return own.call(step, args, kwargs)

        logits += replay(part.graph, [image], call)
    joined = keras.layers.Concatenate(name="logits")(logits)
    # So that a layer makes the scores: what is assembled is a classifier, too.
    head = keras.layers.Dense(joined.shape[-1], use_bias=False, name="scores")
    outputs = head(joined)
    head.set_weights([np.eye(joined.shape[-1])])
    return outputs
