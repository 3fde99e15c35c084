"""The optimisation behind CDRP, for a batch of images at once.

min_λ KL(p || q(λ)) + γ ‖λ‖₁ by SGD with momentum, clipped, from λ = 1 (DRNet
section 3.1). Losses are summed over the images, so a row never feels another.
Written in `keras.ops`, with the gradient from `autodiff`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from drnet_tf.dissection import autodiff


class Settings(NamedTuple):
    """Scalars of the optimisation, tensors where it is compiled."""

    iterations: Any
    learning_rate: Any
    momentum: Any
    gamma: Any
    low: Any
    high: Any


class Best(NamedTuple):
    """The state of each image with the smallest loss so far.

    `(batch,)` loss, `(batch, channels)` gates, `(batch,)` KL in nats and
    `(batch,)` int32 number of updates.
    """

    loss: Any
    gates: Any
    kl: Any
    iteration: Any


def learn_gates(
    forward: Callable[[Any], Any], ones: Any, settings: Any, on_flip: str
) -> tuple[Any, Any, Any, Any]:
    """Learns the gates of a batch of images.

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
    chosen = Settings(*(settings[i] for i in range(6)))
    loss = divergence_from(forward, forward(ones))

    def body(count: Any, state: Any) -> Any:
        gates, velocity, best = state
        slope, (kl, kept) = autodiff.gradient(loss, gates)
        slope = ops.where(ops.isfinite(slope), slope, 0.0)
        if on_flip == "best_iterate":
            best = better_of(best, count, gates, kl, kept, chosen.gamma)
        gates, velocity = sgd_step(gates, velocity, slope, chosen)
        if on_flip == "reset":
            gates = ops.where(kept[:, None], gates, 1.0)
            velocity = ops.where(kept[:, None], velocity, 0.0)
        return gates, velocity, best

    # At open gates q = p, where the gradient of the KL term is zero: the first
    # update needs no pass through the network.
    none = ops.zeros_like(ones)
    gates, velocity = sgd_step(ones, none, none, chosen)
    updates = ops.cast(chosen.iterations, "int32")
    gates, _, best = ops.fori_loop(
        1, updates, body, (gates, velocity, _open(ones, chosen.gamma))
    )
    _, (kl, kept) = loss(gates)
    flipped = ops.logical_not(kept)
    if on_flip == "best_iterate":
        best = better_of(best, updates, gates, kl, kept, chosen.gamma)
        return best.gates, flipped, best.kl, best.iteration
    return (
        ops.where(kept[:, None], gates, 1.0),
        flipped,
        ops.where(kept, kl, 0.0),
        ops.where(kept, updates, 0),
    )


def divergence_from(
    forward: Callable[[Any], Any], target: Any
) -> Callable[[Any], tuple[Any, tuple[Any, Any]]]:
    """The distillation loss: gates -> (sum of KL, (KL, class is kept)).

    Args:
      forward: gates `(batch, channels)` -> log q, `(batch, K)`.
      target: log p of the open network, `(batch, K)`.
    """
    top_class = ops.argmax(target, axis=1)
    probabilities = ops.exp(target)

    def divergence(gates: Any) -> tuple[Any, tuple[Any, Any]]:
        log_q = forward(gates)
        kl = ops.sum(probabilities * (target - log_q), axis=1)
        # A network driven to overflow has no class any more.
        kept = (ops.argmax(log_q, axis=1) == top_class) & ops.isfinite(kl)
        return ops.sum(kl), (kl, kept)

    return divergence


def sgd_step(
    gates: Any, velocity: Any, slope: Any, settings: Settings
) -> tuple[Any, Any]:
    """v <- m v - η (∂KL/∂λ + γ sign λ), λ <- clip(λ + v)."""
    slope = slope + settings.gamma * ops.sign(gates)
    velocity = settings.momentum * velocity - settings.learning_rate * slope
    gates = ops.clip(gates + velocity, settings.low, settings.high)
    return gates, velocity


def better_of(
    best: Best, count: Any, gates: Any, kl: Any, kept: Any, gamma: Any
) -> Best:
    """The better of the best state and the one after `count` updates.

    A state whose top-1 class is another one (`kept` is False) never is.
    """
    loss = kl + gamma * ops.sum(ops.abs(gates), axis=1)
    better = kept & (loss < best.loss)
    found = Best(loss, gates, kl, ops.full_like(best.iteration, count))
    return Best(
        *(
            ops.where(better[:, None] if len(b.shape) == 2 else better, f, b)
            for f, b in zip(found, best, strict=True)
        )
    )


def _open(ones: Any, gamma: Any) -> Best:
    """Open gates: always valid, at a KL of zero."""
    none = ops.zeros_like(ones[:, 0])
    loss = gamma * ops.sum(ones, axis=1)
    return Best(loss, ones, none, ops.cast(none, "int32"))
