"""Union-find by hand."""

from __future__ import annotations

import numpy as np

from drnet_tf.channels.atoms import Atoms


def test_united_atoms_have_the_smallest_number_as_root() -> None:
    atoms = Atoms()
    first, second = atoms.new(3), atoms.new(3)
    atoms.unite(second, first)
    atoms.unite(np.array([4]), np.array([2]))
    assert atoms.roots(np.arange(6)).tolist() == [0, 1, 1, 0, 1, 1]
    assert len(atoms) == 6


def test_roots_that_change_during_a_union_are_followed() -> None:
    atoms = Atoms()
    atoms.new(4)
    atoms.unite(np.array([3, 3, 3]), np.array([2, 1, 0]))
    assert atoms.roots(np.arange(4)).tolist() == [0, 0, 0, 0]
