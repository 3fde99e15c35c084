"""Critical data routing paths (CDRP): DRNet's dissection, section 3.1.

For every image one gate λ per channel is learned by

    min_λ  KL(p(x) || q(x, λ)) + γ ‖λ‖₁      with λ clipped to [0, 10],

where p is the softmax of the network and q that of the gated one. SGD with
momentum starts at open gates (λ = 1) and takes T steps; the gates that stay
away from zero are the channels which the prediction needs.

Sources: DRNet (Dissect and Reconstruct the Convolutional Neural Network via
Interpretable Manners), sections 3.1 and 4.1; Wang, Su, Zhang, Hu, "Interpret
neural networks by identifying critical data routing paths", CVPR 2018.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.dissection import autodiff
from drnet_tf.dissection.mirroring import compiled_on, mirrored_strategy
from drnet_tf.dissection.precision import copied_network
from drnet_tf.dissection.routing import learn_gates
from drnet_tf.free_sites import GateSite
from drnet_tf.gates import per_image_gate_model
from drnet_tf.importance import Cdrps
from drnet_tf.sites import gate_sites

ON_FLIP = ("best_iterate", "ones", "exclude", "reset")


@dataclasses.dataclass(frozen=True)
class CDRP:
    """Settings of the dissection by CDRP; the defaults are DRNet's (4.1).

    Departures: `balance="auto"` and `on_flip="best_iterate"`. With the literal
    settings (`balance=1.0, on_flip="ones"`) the L1 term outweighs the
    distillation on networks with many channels and moderate logits, and one
    flipped image in a hundred keeps every channel of its class.

    Attributes:
      iterations: T, updates per image.
      learning_rate: of SGD.
      momentum: of SGD.
      gamma: γ, weight of the L1 term, a sum over all gates of the network.
      clip: lowest and highest value of a gate.
      on_flip: which gates an image gets, as its top-1 class must not change:
        "best_iterate": of all states (also the last) whose top-1 class is that
        of the network, the one with the smallest loss (Wang et al.'s code);
        "ones": the last state, or all ones if it has flipped (DRNet's words);
        "exclude": as "ones", and such an image leaves the class's mean;
        "reset": gates go back to 1 as soon as the class flips, and go on.
      balance: s: the learning rate is multiplied and γ divided by s, which
        keeps the pace of the L1 decay and makes the distillation s times
        stronger; 1.0 is the paper; "auto" finds the smallest s that suits the
        network (`drnet_tf.dissection.balance`).
      dtype_policy: Keras policy to compute in, e.g. "mixed_bfloat16"; None for
        that of the model. Gates and losses are float32 in any case.

    Example:
      >>> CDRP(balance=4.0).gamma
      0.05
    """

    iterations: int = 30
    learning_rate: float = 0.1
    momentum: float = 0.9
    gamma: float = 0.05
    clip: tuple[float, float] = (0.0, 10.0)
    on_flip: str = "best_iterate"
    balance: float | str = "auto"
    dtype_policy: str | None = None

    def __post_init__(self) -> None:
        _require(self.iterations >= 1, "iterations", self.iterations, ">= 1")
        _require(
            self.learning_rate > 0, "learning_rate", self.learning_rate, "> 0"
        )
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)")
        _require(self.gamma >= 0, "gamma", self.gamma, ">= 0")
        _require(
            len(self.clip) == 2 and self.clip[0] <= 1 <= self.clip[1],
            "clip",
            self.clip,
            "(low, high) around 1, the open gate",
        )
        _require(
            self.on_flip in ON_FLIP,
            "on_flip",
            self.on_flip,
            f"one of {ON_FLIP}",
        )
        _require(
            self.balance == "auto"
            or (not isinstance(self.balance, str) and self.balance > 0),
            "balance", self.balance, '"auto" or a number > 0',
        )  # fmt: skip


def _require(holds: bool, name: str, got: Any, expected: str) -> None:
    if not holds:
        raise ValueError(f"CDRP: {name}: got {got!r}, expected {expected}.")


class GateLearner:
    """Learns gates for batches of images, compiled once per network.

    Rows are independent of each other: the losses of the images are summed, and
    norms and dropout run in inference mode, so a batch gives what its images
    would give one at a time.

    Args:
      model: network whose output is class scores; it is not changed.
      method: the settings; `balance` may be overridden at each call.
      coupling: which gates there are, see `sites.gate_sites`.
      devices: names such as "GPU:0", "GPU:1", each of which learns whole
        batches on a copy of the network; none: the default device.

    Attributes:
      method, sites: see above.
      at_a_time: number of batches that are learned side by side.

    Raises:
      ValueError: the model has no site, gives no class scores or reads more
        than images; a device is not there.
    """

    def __init__(
        self,
        model: keras.Model,
        method: CDRP,
        coupling: str = "free",
        devices: Sequence[str] = (),
    ) -> None:
        autodiff.check_backend()
        self.method = method
        self.sites = gate_sites(model, coupling)
        classifier = find_classifier(model)
        if len(model.inputs) != 1:
            raise ValueError(
                f"Model '{model.name}' has {len(model.inputs)} inputs, "
                "expected one, the images."
            )
        self.at_a_time = max(1, len(devices))
        strategy = mirrored_strategy(devices) if devices else None
        with strategy.scope() if strategy else contextlib.nullcontext():
            # Variables are on all devices only if they were made here.
            if strategy or method.dtype_policy is not None:
                model = copied_network(model, method.dtype_policy)
            forward = _forward(
                per_image_gate_model(model, coupling),
                [site.channels for site in self.sites],
                classifier.probabilities,
            )
        learn = _learner(forward, self.sites, method.on_flip)
        shapes = [(None, *model.input_shape[1:]), (6,)]
        self._learn = autodiff.compiled(learn, shapes)
        self._learn_all = (
            compiled_on(strategy, learn, shapes) if strategy else None
        )

    def __call__(
        self, images: np.ndarray, balance: float | None = None
    ) -> Cdrps:
        """Learns the gates of one batch.

        Args:
          images: `(batch, height, width, channels)`, as the network expects.
          balance: s, by default that of the method, 1 if that is "auto".
        """
        return self.learn([images], balance)[0]

    def learn(
        self, batches: Sequence[np.ndarray], balance: float | None = None
    ) -> list[Cdrps]:
        """Learns the gates of some batches, at most `at_a_time` of them.

        Args:
          batches: images of each, see `__call__`.
          balance: see `__call__`.
        """
        if not batches:
            return []
        method = self.method
        if balance is None:
            balance = 1.0 if method.balance == "auto" else float(method.balance)
        settings = np.array(
            [method.iterations, method.learning_rate * balance, method.momentum,
             method.gamma / balance, *method.clip], np.float32,
        )  # fmt: skip
        values = ops.convert_to_tensor(settings)
        tensors = [ops.convert_to_tensor(x, "float32") for x in batches]
        if self._learn_all is None:
            learned = [self._learn(images, values) for images in tensors]
        else:
            # A device without a batch gets one image for nothing: TensorFlow's
            # fused convolutions stumble over empty batches.
            idle = [tensors[0][:1]] * (self.at_a_time - len(batches))
            learned = self._learn_all([*tensors, *idle], values)[: len(batches)]
        return [self._cdrps(found) for found in learned]

    def _cdrps(self, found: Sequence[Any]) -> Cdrps:
        gates, flipped, kl, iteration = map(ops.convert_to_numpy, found)
        edges = np.cumsum([site.channels for site in self.sites])[:-1]
        parts = np.split(gates, edges, axis=1)
        return Cdrps(
            gates={
                s.name: part for s, part in zip(self.sites, parts, strict=True)
            },
            flipped=flipped,
            kl=kl,
            iteration=iteration,
        )


def _learner(
    forward: Callable[[Any, Any], Any],
    sites: Sequence[GateSite],
    on_flip: str,
) -> Callable[[Any, Any], Any]:
    """(images, settings) -> what `learn_gates` returns."""
    channels = sum(site.channels for site in sites)

    def learn(images: Any, settings: Any) -> Any:
        return learn_gates(
            lambda gates: forward(images, gates),
            ops.ones((ops.shape(images)[0], channels)),
            settings,
            on_flip,
        )

    return learn


def _forward(
    gated: keras.Model, widths: list[int], probabilities: bool
) -> Callable[[Any, Any], Any]:
    """(images, gates (batch, channels of all sites)) -> log q, (batch, K)."""
    edges = [int(x) for x in np.cumsum(widths)[:-1]]

    def forward(images: Any, gates: Any) -> Any:
        # `split` refuses an empty list of edges.
        vectors = ops.split(gates, edges, axis=1) if edges else [gates]
        outputs = gated([images, *vectors], training=False)
        return log_probabilities(outputs, probabilities)

    return forward
