from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.repair.ridge import choose_ridge, solve
from drnet_tf.repair.samples import Moments


def _problem(
    seed: int, samples: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(1.0, 1.0, size=(2, samples, 4))
    y = generator.normal(size=(2, samples, 3))
    return x, y, generator.normal(size=(2, 4, 3))


def _moments(x: np.ndarray, y: np.ndarray) -> Moments:
    moments = Moments.zeros(len(x), x.shape[-1], y.shape[-1])
    half = x.shape[1] // 2
    moments.add(x[:, :half], y[:, :half])
    moments.add(x[:, half:], y[:, half:])
    return moments


@pytest.mark.parametrize("ridge", [1e-6, 1e-2, 10.0])
def test_solution_is_that_of_the_stacked_system(ridge: float) -> None:
    x, y, old = _problem(0)
    found = solve(_moments(x, y), old, np.zeros((2, 3)), ridge)
    for group in range(2):
        a = x[group] - x[group].mean(0)
        b = y[group] - y[group].mean(0)
        strength = ridge * np.trace(a.T @ a) / 4
        stacked = np.vstack([a, np.sqrt(strength) * np.eye(4)])
        goal = np.vstack([b, np.sqrt(strength) * old[group]])
        kernel = np.linalg.lstsq(stacked, goal, rcond=None)[0]
        np.testing.assert_allclose(found.kernel[group], kernel, atol=1e-9)
        bias = y[group].mean(0) - x[group].mean(0) @ kernel
        np.testing.assert_allclose(found.bias[group], bias, atol=1e-9)


def test_without_a_bias_nothing_is_centred() -> None:
    x, y, old = _problem(1)
    found = solve(_moments(x, y), old, None, 1e-12)
    kernel = np.linalg.lstsq(x[0], y[0], rcond=None)[0]
    np.testing.assert_allclose(found.kernel[0], kernel, atol=1e-6)
    assert not found.bias.any()


def test_errors_are_mean_squares_and_the_new_one_is_smaller() -> None:
    x, y, old = _problem(2)
    found = solve(_moments(x, y), old, np.ones((2, 3)), 1e-6)
    before = np.square(x @ old + 1 - y).mean(1)
    after = np.square(x @ found.kernel + found.bias[:, None] - y).mean(1)
    np.testing.assert_allclose(found.error_before, before)
    np.testing.assert_allclose(found.error_after, after)
    assert (after < before).all()
    np.testing.assert_allclose(found.variance, y.var(1))


def test_what_samples_do_not_determine_stays() -> None:
    x, y, old = _problem(3)
    x[..., 2] = 0.0
    found = solve(_moments(x, y), old, np.zeros((2, 3)), 1e-3)
    np.testing.assert_array_equal(found.kernel[:, 2], old[:, 2])


def test_inputs_that_are_all_zero_leave_the_kernel() -> None:
    x, y, old = _problem(4)
    found = solve(_moments(0 * x, y), old, np.zeros((2, 3)), 1e-3)
    np.testing.assert_array_equal(found.kernel, old)
    np.testing.assert_allclose(found.bias, y.mean(1))


@pytest.mark.parametrize("noise", [0.0, 1.0, 30.0])
def test_the_ridge_is_the_one_that_does_best_on_other_samples(
    noise: float,
) -> None:
    generator = np.random.default_rng(5)
    old = generator.normal(size=(1, 12, 3))
    change = 0.3 * generator.normal(size=old.shape)

    def draw(samples: int) -> tuple[np.ndarray, np.ndarray]:
        x = generator.normal(size=(1, samples, 12))
        errors = noise * generator.normal(size=(1, samples, 3))
        return x, x @ (old + change) + errors

    x, y = draw(20)
    held_x, held_y = draw(400)
    candidates = (1e-3, 1e-2, 1e-1, 1.0, 1e3)

    def error(ridge: float) -> float:
        found = solve(_moments(x, y), old, None, ridge).kernel
        rest = np.square(held_x @ found - held_y).mean((0, 1))
        return float((rest / held_y.var((0, 1))).sum())

    found = choose_ridge(
        _moments(x, y), _moments(held_x, held_y), old, None, candidates
    )
    assert found == min(candidates, key=error)
    assert noise < 30 or found == 1e3
    assert noise > 0 or found == 1e-3


def test_inputs_that_hardly_vary_are_solved_as_others() -> None:
    # In float32 all that their products differ by is rounding.
    generator = np.random.default_rng(3)
    unknowns, samples = 600, 900
    varying = generator.normal(size=(1, samples, unknowns))
    weights = generator.normal(size=(unknowns, 2))
    inputs = (300 + 0.1 * varying).astype("float32")
    outputs = (10 * (inputs.astype(float) - 300) @ weights).astype("float32")
    moments = Moments.zeros(1, unknowns, 2)
    moments.add(inputs, outputs)
    found = solve(moments, np.zeros((1, unknowns, 2)), np.zeros((1, 2)), 1e-6)
    np.testing.assert_allclose(found.kernel[0], 10 * weights, atol=0.05)


def test_constant_inputs_keep_their_weights_and_fit_the_bias() -> None:
    generator = np.random.default_rng(4)
    inputs = np.full((1, 700, 600), 6.1, "float32")
    outputs = generator.normal(size=(1, 700, 2)).astype("float32")
    kernel = generator.normal(size=(1, 600, 2))
    moments = Moments.zeros(1, 600, 2)
    moments.add(inputs, outputs)
    found = solve(moments, kernel, np.zeros((1, 2)), 1e-3)
    np.testing.assert_array_equal(found.kernel, kernel)
    made = inputs[0, 0].astype(float) @ kernel[0] + found.bias[0]
    np.testing.assert_allclose(made, outputs[0].mean(0), atol=1e-5)


def test_a_system_that_is_not_definite_is_held_more_strongly() -> None:
    gram = np.diag([1.0, 1.0, -0.01])  # as rounding leaves it
    sums = np.zeros((1, 3))
    moments = Moments(
        1,
        sums,
        np.zeros((1, 1)),
        gram[None],
        np.ones((1, 3, 1)),
        np.ones((1, 1)),
    )
    kernel = np.zeros((1, 3, 1))
    found = solve(moments, kernel, None, 1e-3)
    assert found.ridge > 1e-3
    assert np.isfinite(found.kernel).all()
