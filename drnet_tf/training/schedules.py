"""How the learning rate goes over the updates, as Keras' own schedules."""

from __future__ import annotations

import keras

SCHEDULES = ("paper", "one_cycle")

_RISE = 0.3  # share of the updates of one cycle in which the rate rises
_START = 1 / 25  # of its peak
_END = 4e-6  # of its peak: 1e-4 of the start


def learning_rates(
    name: str, peak: float, updates: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate of each update.

    With η the peak, T the number of updates and t = 0 ... T - 1:

    "paper" falls along half a cosine,

        η (1 + cos(π t / T)) / 2;

    "one_cycle" rises along a line from η / 25 in the first R = ⌊0.3 T⌋ updates,
    then falls along half a cosine to 4e-6 η:

        η / 25 + (η - η / 25) t / R                          for t < R,
        η [(1 - e) (1 + cos(π (t - R) / (T - R))) / 2 + e]   else, e = 4e-6.

    References: I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent
    with Warm Restarts", arXiv:1608.03983, eq. 5, without restarts; L. Smith,
    N. Topin, "Super-Convergence", arXiv:1708.07120.

    Departures: DRNet gives the rate at the start, 0.1, and 550 epochs; how the
    rate falls between is not known to us, and a cosine needs no further
    settings. In one cycle the momentum stays as it is; Smith's falls while the
    rate rises.

    Args:
      name: one of `SCHEDULES`.
      peak: the highest rate, η.
      updates: T, 1 or more.

    Example:
      >>> rates = learning_rates("paper", 0.1, updates=4)
      >>> [round(float(rates(t)), 4) for t in range(4)]
      [0.1, 0.0854, 0.05, 0.0146]
    """
    cosine = keras.optimizers.schedules.CosineDecay
    if name == "paper":
        return cosine(peak, updates)
    rise = int(_RISE * updates)
    return cosine(
        _START * peak,
        updates - rise,
        alpha=_END,
        warmup_target=peak,
        warmup_steps=rise,
    )
