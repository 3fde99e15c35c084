"""A network that is joined with others, and the logits of its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from drnet_tf.classifier import find_classifier
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.labeled_images import LabeledImages
from drnet_tf.logits import head_softmaxes, logit_caller
from drnet_tf.names import check_class_names
from drnet_tf.preprocessing import Preprocessing
from drnet_tf.pruning import PrunedModel

_READ = 128  # images run at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Component:
    """A classifier and the names of its classes.

    Attributes:
      model: a Functional or Sequential model of one input; of a `PrunedModel`
        its model is taken.
      class_names: in the order of the outputs.
      preprocessing: what the model expects of raw pixels; None: not known.

    Raises:
      TypeError: the model is subclassed, or no Keras model.
      ValueError: the model has several inputs or makes no class scores; or the
        names are not as many as its outputs, or not unique.

    Example:
      >>> x = keras.Input((2,))
      >>> model = keras.Model(x, keras.layers.Dense(2)(x))
      >>> Component(model, ("cat", "dog")).class_names
      ('cat', 'dog')
    """

    model: keras.Model
    class_names: tuple[str, ...]
    preprocessing: Preprocessing | None = None

    def __post_init__(self) -> None:
        model: Any = self.model
        if isinstance(model, PrunedModel):
            model = model.model
        outputs = find_classifier(model, fewest=1).num_classes
        names = check_class_names("Component", self.class_names)
        if len(model.inputs) != 1:
            raise ValueError(
                f"Component: the model '{model.name}' has {len(model.inputs)} "
                "inputs, expected one, the images."
            )
        if len(names) != outputs:
            raise ValueError(
                f"Component: the model '{model.name}' has {outputs} outputs, "
                f"got {len(names)} class names; pass one name per output, in "
                "their order."
            )
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "class_names", names)

    def on_raw_pixels(self) -> Component:
        """The same component, with its preprocessing as its first layer.

        Components that were trained on different preprocessings can then be
        joined.

        Raises:
          ValueError: the preprocessing is not known.

        Example:
          >>> x = keras.Input((4, 4, 3))
          >>> y = keras.layers.GlobalAveragePooling2D()(x)
          >>> model = keras.Model(x, keras.layers.Dense(2)(y))
          >>> unit = Preprocessing(127.5, 127.5)
          >>> raw = Component(model, ("cat", "dog"), unit).on_raw_pixels()
          >>> raw.preprocessing
          Preprocessing(mean=(0.0,), std=(1.0,))
        """
        if self.preprocessing is None:
            raise ValueError(
                f"Component.on_raw_pixels: the preprocessing of "
                f"'{self.model.name}' is not known; pass it: "
                "Component(model, class_names, preprocessing)."
            )
        mean = np.array(self.preprocessing.mean)
        std = np.array(self.preprocessing.std)
        pixels = keras.Input(
            batch_shape=self.model.inputs[0].shape, name="pixels"
        )
        scale, offset = 1 / std, -mean / std
        images = keras.layers.Rescaling(
            scale.tolist(), offset.tolist(), name="preprocessing"
        )(pixels)
        model = keras.Model(
            pixels, self.model(images), name=f"{self.model.name}_on_pixels"
        )
        return Component(model, self.class_names, Preprocessing())


class Part:
    """A component as it is read for joining.

    Args:
      component: which.

    Attributes:
      graph: of its model.
      head: the call that makes its logits.
      softmaxes: names of the calls that make probabilities of them.
      factors: `(K,)` float32, by which the weights of the head are multiplied.
    """

    def __init__(self, component: Component) -> None:
        self.component = component
        self.graph: Graph = read_graph(component.model)
        classifier = find_classifier(component.model, fewest=1)
        self.head: Call = classifier.call
        self.softmaxes = head_softmaxes(self.graph, classifier)
        self.factors = np.ones(classifier.num_classes, np.float32)
        self._run = logit_caller(self.graph, classifier)

    def calibrate(self, data: LabeledImages) -> None:
        """Sets the factors so that the mean winning logit of a class is 1.

        Row k is multiplied by n_k / Σ z_k over the n_k images of class k that
        the component itself classifies correctly.

        Raises:
          ValueError: there is no such image of a class, or its mean logit is
            not positive; or the head has no plain weights to multiply.
        """
        if not has_plain_weights(self.head.operation):
            raise ValueError(
                f"assemble: the weights of '{self.head.name}' of "
                f"'{self.component.model.name}' are quantized, or have LoRA's "
                "beside, expected plain ones to scale; pass scale=None."
            )
        names = self.component.class_names
        numbers = np.full(len(data.class_names), -1)
        for row, name in enumerate(names):
            if name in data.class_names:
                numbers[data.class_names.index(name)] = row
        own = np.flatnonzero(numbers[data.labels] >= 0)
        rows = numbers[data.labels[own]]
        logits = self._logits(data.images[own])
        right = logits.argmax(1) == rows
        for row, name in enumerate(names):
            wins = logits[right & (rows == row), row]
            if not len(wins) or wins.mean() <= 0:
                got = f"{wins.mean():.3g}" if len(wins) else "no such image"
                raise ValueError(
                    f"assemble: class '{name}': the mean logit of its images "
                    f"that are classified correctly is {got}, expected a "
                    "number above 0 to scale by; pass more images of it, or "
                    "scale=None."
                )
            self.factors[row] = 1 / wins.mean()

    def _logits(self, images: np.ndarray) -> np.ndarray:
        """`(N, K)` float32 logits of images `(N, ...)`."""
        parts = [np.zeros((0, len(self.factors)), np.float32)]
        for start in range(0, len(images), _READ):
            batch = images[start : start + _READ].astype("float32")
            inputs = [keras.ops.convert_to_tensor(batch)]
            (found,) = replay(self.graph, inputs, self._run)
            parts.append(keras.ops.convert_to_numpy(found))
        return np.concatenate(parts)


def has_plain_weights(operation: keras.Operation) -> bool:
    """Whether its arrays are its kernel and bias: not quantized, no LoRA."""
    return getattr(operation, "quantization_mode", None) is None and not (
        getattr(operation, "lora_enabled", False)
    )


def check_components(components: Sequence[Component]) -> None:
    """Refuses what cannot be joined.

    Raises:
      TypeError: one is no `Component`.
      ValueError: fewer than two; inputs of different shapes, types or
        preprocessings; a class name that two of them have.
    """
    if len(components) < 2:
        raise ValueError(
            f"assemble: got {len(components)} components, expected two or "
            "more; pass them as one list."
        )
    for component in components:
        if not isinstance(component, Component):
            raise TypeError(
                f"assemble: got a {type(component).__name__}, expected "
                "drnet.Component(model, class_names); wrap it in one."
            )
    first = components[0].model
    owners: dict[str, str] = {}
    known = [x for x in components if x.preprocessing is not None]
    for component in known:
        if component.preprocessing != known[0].preprocessing:
            raise ValueError(
                f"assemble: '{component.model.name}' expects "
                f"{component.preprocessing}, '{known[0].model.name}' "
                f"{known[0].preprocessing}, expected the same; pass "
                "component.on_raw_pixels() of all."
            )
    for component in components:
        model = component.model
        if _input(model) != _input(first):
            raise ValueError(
                f"assemble: '{model.name}' reads {_input(model)}, "
                f"'{first.name}' {_input(first)}, expected the same; put a "
                "layer before one of them that makes its input of the other's, "
                "such as keras.layers.Resizing."
            )
        for name in component.class_names:
            if name in owners:
                raise ValueError(
                    f"assemble: '{owners[name]}' and '{model.name}' both have "
                    f"the class '{name}', expected different names; rename it "
                    "in one of them, or cut it off with prune(classes=...)."
                )
            owners[name] = model.name


def _input(model: keras.Model) -> str:
    tensor = model.inputs[0]
    return f"{tuple(tensor.shape[1:])} {tensor.dtype}"
