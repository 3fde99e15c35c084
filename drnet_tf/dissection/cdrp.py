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

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from drnet_tf.classifier import find_classifier, log_probabilities
from drnet_tf.dissection import autodiff
from drnet_tf.dissection.precision import with_dtype_policy
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

    Raises:
      ValueError: the model has no site or gives no class scores.
    """

    def __init__(self, model: keras.Model, method: CDRP) -> None:
        autodiff.check_backend()
        self.method = method
        self.sites = gate_sites(model)
        classifier = find_classifier(model)
        if method.dtype_policy is not None:
            model = with_dtype_policy(model, method.dtype_policy)
        forward = _forward(
            per_image_gate_model(model),
            [site.channels for site in self.sites],
            classifier.probabilities,
        )
        channels = sum(site.channels for site in self.sites)
        self._learn = autodiff.compiled(
            lambda images, settings: learn_gates(
                lambda gates: forward(images, gates),
                ops.ones((ops.shape(images)[0], channels)),
                settings,
                method.on_flip,
            ),
            [(None, *model.input_shape[1:]), (6,)],
        )

    def __call__(
        self, images: np.ndarray, balance: float | None = None
    ) -> Cdrps:
        """Learns the gates of one batch.

        Args:
          images: `(batch, height, width, channels)`, as the network expects.
          balance: s, by default that of the method, 1 if that is "auto".
        """
        method = self.method
        if balance is None:
            balance = 1.0 if method.balance == "auto" else float(method.balance)
        settings = np.array(
            [method.iterations, method.learning_rate * balance, method.momentum,
             method.gamma / balance, *method.clip], np.float32,
        )  # fmt: skip
        gates, flipped, kl, iteration = (
            ops.convert_to_numpy(x)
            for x in self._learn(
                ops.convert_to_tensor(images, "float32"),
                ops.convert_to_tensor(settings),
            )
        )
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


def _forward(
    gated: keras.Model, widths: list[int], probabilities: bool
) -> Callable[[Any, Any], Any]:
    """(images, gates (batch, channels of all sites)) -> log q, (batch, K)."""
    edges = [int(x) for x in np.cumsum(widths)[:-1]]

    def forward(images: Any, gates: Any) -> Any:
        vectors = ops.split(gates, edges, axis=1)
        outputs = gated([images, *vectors], training=False)
        return log_probabilities(outputs, probabilities)

    return forward


def learn_gates(
    forward: Callable[[Any], Any], ones: Any, settings: Any, on_flip: str
) -> tuple[Any, Any, Any, Any]:
    """The optimisation of section 3.1 for a batch of images.

    Args:
      forward: gates `(batch, channels)` -> log-probabilities `(batch, K)`.
      ones: open gates, `(batch, channels)` float32.
      settings: `(6,)`: T, learning rate, momentum, γ, lowest, highest gate.
      on_flip: see `CDRP`.

    Returns:
      gates `(batch, channels)`; flipped `(batch,)` bool: the last state's top-1
      class is another one; KL `(batch,)` in nats and number of updates
      `(batch,)` int32 of the returned gates.
    """
    updates, rate, momentum, gamma, low, high = (settings[i] for i in range(6))
    target = forward(ones)
    top_class = ops.argmax(target, axis=1)
    probabilities = ops.exp(target)

    def divergence(gates: Any) -> tuple[Any, tuple[Any, Any]]:
        log_q = forward(gates)
        kl = ops.sum(probabilities * (target - log_q), axis=1)
        # A network driven to overflow has no class any more.
        kept = (ops.argmax(log_q, axis=1) == top_class) & ops.isfinite(kl)
        return ops.sum(kl), (kl, kept)

    def step(gates: Any, velocity: Any, slope: Any) -> tuple[Any, Any]:
        slope = slope + gamma * ops.sign(gates)
        velocity = momentum * velocity - rate * slope
        return ops.clip(gates + velocity, low, high), velocity

    def examine(count: Any, gates: Any, kl: Any, kept: Any, best: Any) -> Any:
        loss = kl + gamma * ops.sum(ops.abs(gates), axis=1)
        better = kept & (loss < best[0])
        found = (loss, gates, kl, ops.full_like(best[3], count))
        return tuple(
            ops.where(better[:, None] if len(b.shape) == 2 else better, f, b)
            for f, b in zip(found, best, strict=True)
        )

    def body(count: Any, state: Any) -> Any:
        gates, velocity, best = state
        slope, (kl, kept) = autodiff.gradient(divergence, gates)
        slope = ops.where(ops.isfinite(slope), slope, 0.0)
        if on_flip == "best_iterate":
            best = examine(count, gates, kl, kept, best)
        gates, velocity = step(gates, velocity, slope)
        if on_flip == "reset":
            gates = ops.where(kept[:, None], gates, 1.0)
            velocity = ops.where(kept[:, None], velocity, 0.0)
        return gates, velocity, best

    none = ops.zeros_like(ones[:, 0])
    best = (gamma * ops.sum(ones, axis=1), ones, none, ops.cast(none, "int32"))
    # At open gates q = p, where the gradient of the KL term is zero: the first
    # update needs no pass through the network.
    gates, velocity = step(ones, ops.zeros_like(ones), ops.zeros_like(ones))
    updates = ops.cast(updates, "int32")
    gates, _, best = ops.fori_loop(1, updates, body, (gates, velocity, best))
    _, (kl, kept) = divergence(gates)
    flipped = ops.logical_not(kept)
    if on_flip == "best_iterate":
        _, gates, kl, iteration = examine(updates, gates, kl, kept, best)
        return gates, flipped, kl, iteration
    return (
        ops.where(kept[:, None], gates, 1.0),
        flipped,
        ops.where(kept, kl, 0.0),
        ops.where(kept, updates, 0),
    )
