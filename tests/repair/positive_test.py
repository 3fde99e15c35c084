"""Positive definite systems against NumPy's general solver."""

import numpy as np
import pytest

from drnet_tf.repair.positive import Cholesky, solve_positive


def _system(size, seed=0):
    generator = np.random.default_rng(seed)
    half = generator.normal(size=(size, size))
    return half @ half.T / size + 0.1 * np.eye(size)


class TestCholesky:
    @pytest.mark.parametrize("size", [1, 127, 128, 129, 300, 700])
    def test_as_numpy(self, size):
        matrix = _system(size)
        right = np.random.default_rng(1).normal(size=(size, 3))
        factor = Cholesky(matrix)
        expected = np.linalg.solve(matrix, right)
        np.testing.assert_allclose(factor.solve(right), expected, rtol=1e-9)
        lower = np.linalg.cholesky(matrix)
        np.testing.assert_allclose(
            lower @ factor.solve_lower(right), right, rtol=1e-9, atol=1e-12
        )

    def test_indefinite(self):
        with pytest.raises(np.linalg.LinAlgError):
            Cholesky(np.diag([1.0, -1.0]))

    def test_arguments_stay(self):
        matrix, right = _system(200), np.ones((200, 1))
        before = matrix.copy(), right.copy()
        Cholesky(matrix).solve(right)
        np.testing.assert_array_equal(matrix, before[0])
        np.testing.assert_array_equal(right, before[1])


class TestSolvePositive:
    @pytest.mark.parametrize("size", [9, 600])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_groups(self, size, dtype):
        matrices = np.stack([_system(size, x) for x in range(2)])
        right = np.random.default_rng(2).normal(size=(2, size, 4))
        found = solve_positive(matrices.astype(dtype), right.astype(dtype))
        assert found.dtype == dtype
        expected = np.linalg.solve(matrices, right)
        limit = 1e-9 if dtype == "float64" else 1e-3
        np.testing.assert_allclose(found, expected, rtol=limit, atol=limit)
