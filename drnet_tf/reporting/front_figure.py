"""The picture of a Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

from drnet_tf.fronts import FrontPoint
from drnet_tf.reporting.figures import CurveSeries, accuracy_curve


def front_figure(
    points: Sequence[FrontPoint],
    full_accuracy: float,
    chosen: tuple[float, float] | None = None,
) -> str:
    """An SVG: accuracy against the share of the parameters that is left.

    Args:
      points: of `fronts.trace_front`.
      full_accuracy: of the full network, a dashed line.
      chosen: parameters left and accuracy of a network to compare with them,
        fractions both; None: there is none.
    """
    front = [point for point in points if point.best["parameters"]]
    series = [
        CurveSeries(
            name,
            [point.parameters for point in some],
            [point.accuracy for point in some],
        )
        for name, some in (("all networks", points), ("Pareto front", front))
    ]
    if chosen is not None:
        series.append(CurveSeries("network above", [chosen[0]], [chosen[1]]))
    return accuracy_curve(series, "Parameters left", full_accuracy)
