from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.repair.ridge import choose_ridge, solve
from drnet_tf.repair.samples import Collection, Moments, Samples


def _few(seed: int, samples: int = 7) -> tuple[Samples, np.ndarray]:
    """Fewer samples than unknowns, and a kernel."""
    generator = np.random.default_rng(seed)
    x = generator.normal(1.0, 1.0, size=(2, samples, 12))
    y = generator.normal(size=(2, samples, 3))
    return Samples(x, y), generator.normal(size=(2, 12, 3))


def _sums(samples: Samples) -> Moments:
    sums = Moments.zeros(2, 12, 3)
    sums.add(samples.x, samples.y)
    return sums


@pytest.mark.parametrize("bias", [None, np.full((2, 3), 0.5)])
@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_samples_and_their_sums_have_one_solution(
    ridge: float, bias: np.ndarray | None
) -> None:
    samples, kernel = _few(0)
    found = solve(samples, kernel, bias, ridge)
    expected = solve(_sums(samples), kernel, bias, ridge)
    assert found.ridge == expected.ridge == ridge
    for name in (
        "kernel", "bias", "error_before", "error_after", "variance"
    ):  # fmt: skip
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), atol=1e-8
        )


def test_few_samples_with_a_weak_ridge_are_met_exactly() -> None:
    samples, kernel = _few(1)
    found = solve(samples, kernel, np.zeros((2, 3)), 1e-9)
    made = samples.x @ found.kernel + found.bias[:, None]
    np.testing.assert_allclose(made, samples.y, atol=1e-6)


def test_unknowns_without_input_stay_as_they_were() -> None:
    samples, kernel = _few(2)
    samples.x[..., 5] = 0
    found = solve(samples, kernel, None, 1e-3)
    np.testing.assert_array_equal(found.kernel[:, 5], kernel[:, 5])


@pytest.mark.parametrize("value", [0.0, 6.1])
def test_constant_inputs_change_the_bias_alone(value: float) -> None:
    samples, kernel = _few(3)
    samples.x[:] = value
    found = solve(samples, kernel, np.zeros((2, 3)), 1e-3)
    np.testing.assert_array_equal(found.kernel, kernel)
    made = samples.x[:, 0, None] @ kernel + found.bias[:, None]
    np.testing.assert_allclose(made[:, 0], samples.y.mean(1))


def test_both_kinds_choose_the_same_ridge() -> None:
    samples, kernel = _few(4)
    held_back, _ = _few(5, samples=4)
    candidates = (1e-3, 1e-2, 1e-1, 1.0, 1e3)
    kinds = [
        choose_ridge(fitted, held, kernel, np.zeros((2, 3)), candidates)
        for fitted in (samples, _sums(samples))
        for held in (held_back, _sums(held_back))
    ]
    assert len(set(kinds)) == 1


def test_samples_are_held_until_they_outnumber_the_unknowns() -> None:
    samples, _ = _few(6, samples=12)
    collection = Collection(2, 12, 3)
    collection.add(Samples(samples.x[:, :7], samples.y[:, :7]))
    collection.add(Samples(samples.x[:, 7:], samples.y[:, 7:]))
    held = collection.result()
    assert isinstance(held, Samples)
    np.testing.assert_array_equal(held.x, samples.x)
    np.testing.assert_array_equal(held.y, samples.y)
    collection.add(Samples(samples.x[:, :1], samples.y[:, :1]))
    sums = collection.result()
    assert isinstance(sums, Moments)
    assert sums.count == 13
    expected = _sums(samples)
    expected.add(samples.x[:, :1], samples.y[:, :1])
    np.testing.assert_allclose(sums.xx, expected.xx)
    np.testing.assert_allclose(sums.xy, expected.xy)


def test_a_collection_takes_samples_and_sums() -> None:
    samples, _ = _few(7)
    sums = _sums(samples)
    before = sums.xx.copy()
    collection = Collection(2, 12, 3)
    collection.add(samples)
    collection.add(sums)
    found = collection.result()
    assert isinstance(found, Moments)
    assert found.count == 14
    np.testing.assert_allclose(found.xx, 2 * sums.xx)
    np.testing.assert_array_equal(sums.xx, before)


def test_a_collection_of_nothing_counts_nothing() -> None:
    found = Collection(1, 2, 3).result()
    assert found.count == 0
    np.testing.assert_array_equal(found.variance(), np.zeros((1, 3)))
