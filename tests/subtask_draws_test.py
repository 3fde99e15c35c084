import itertools

import pytest

from drnet_tf.subtask_draws import draw_subtasks

NAMES = tuple("abcdefgh")


def test_few_are_drawn_by_seed_different_ones_in_order():
    drawn = draw_subtasks(NAMES, 3, 20, seed=4)
    assert len(set(drawn)) == 20
    assert list(drawn) == sorted(drawn)
    assert set(drawn) <= set(itertools.combinations(NAMES, 3))
    assert draw_subtasks(NAMES, 3, 20, seed=4) == drawn
    assert draw_subtasks(NAMES, 3, 20, seed=5) != drawn


def test_where_there_are_no_more_all_are_taken():
    assert draw_subtasks(NAMES, 2, 28, seed=1) == tuple(
        itertools.combinations(NAMES, 2)
    )
    assert draw_subtasks(NAMES, 8, 3, seed=1) == (NAMES,)


@pytest.mark.parametrize(("size", "count"), [(9, 1), (0, 1), (2, 0)])
def test_what_cannot_be_drawn_is_refused(size, count):
    with pytest.raises(ValueError, match=f"got {count} of {size} classes"):
        draw_subtasks(NAMES, size, count, seed=0)
