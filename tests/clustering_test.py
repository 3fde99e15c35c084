"""Average linkage, against sums by hand and the definition."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.clustering import average_linkage

# Pairs at 1 and 2; between them 8, 10, 9, 13: a mean of 10. The last is far.
BY_HAND = np.array(
    [
        [0, 8, 1, 10, 20],
        [8, 0, 9, 2, 22],
        [1, 9, 0, 13, 24],
        [10, 2, 13, 0, 26],
        [20, 22, 24, 26, 0],
    ]
)


def test_an_example_by_hand():
    tree = average_linkage(BY_HAND)
    assert tree.merges == ((0, 2), (1, 3), (5, 6), (7, 4))
    assert tree.heights == (1.0, 2.0, 10.0, 23.0)
    assert tree.members()[-1] == [0, 2, 1, 3, 4]
    # The widest gap is from 10 to 23.
    assert tree.clusters() == [[0, 2, 1, 3], [4]]


def test_the_widest_gap_decides_how_many_clusters_there_are():
    closer = BY_HAND.copy()
    closer[4, :4] = closer[:4, 4] = 12
    assert average_linkage(closer).clusters() == [[0, 2], [1, 3], [4]]


def test_a_gap_above_the_first_merge_does_not_leave_all_others_alone():
    heights = [1.0, 50.0, 51.0, 53.0, 54.0]
    chain = 60.0 - np.zeros((6, 6))
    for thing, height in enumerate(heights, 1):
        chain[thing, :thing] = chain[:thing, thing] = height
    tree = average_linkage(chain)
    assert tree.heights == tuple(heights)
    assert tree.clusters() == [[0, 1, 2, 3], [4], [5]]


def test_heights_are_means_over_all_pairs_of_things():
    random = np.random.default_rng(0)
    places = random.normal(size=(30, 3))
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    tree = average_linkage(distances)
    members = tree.members()
    for (a, b), height in zip(tree.merges, tree.heights, strict=True):
        mean = distances[np.ix_(members[a], members[b])].mean()
        assert height == pytest.approx(mean)
        assert min(members[a]) < min(members[b])
    assert list(tree.heights) == sorted(tree.heights)
    assert sorted(members[-1]) == list(range(30))
    assert sorted(sum(tree.clusters(), [])) == list(range(30))


def test_equal_distances_keep_the_order_and_make_one_cluster():
    tree = average_linkage(1 - np.eye(6))
    assert tree.members()[-1] == list(range(6))
    assert tree.clusters() == [list(range(6))]


def test_one_and_two_things():
    assert average_linkage([[0]]).clusters() == [[0]]
    assert average_linkage([[0, 3], [3, 0]]).heights == (3.0,)
    assert average_linkage([[0, 3], [3, 0]]).clusters() == [[0, 1]]


def test_the_distances_stay_as_they_are():
    distances = BY_HAND.astype(float)
    average_linkage(distances)
    assert (distances == BY_HAND).all()


@pytest.mark.parametrize(
    ("distances", "words"),
    [
        (np.zeros((2, 3)), "got distances of shape (2, 3), expected (N, N)"),
        (np.zeros((0, 0)), "got distances of shape (0, 0), expected (N, N)"),
        ([[0, 1], [2, 0]], "are not finite and symmetric"),
        ([[0, np.nan], [np.nan, 0]], "are not finite and symmetric"),
    ],
)
def test_other_matrices_are_refused(distances, words):
    with pytest.raises(ValueError) as caught:
        average_linkage(distances)
    assert words in str(caught.value)
