"""`prune` equals `apply_mask` on random networks and random masks."""

from __future__ import annotations

import collections
import functools
import gc

import keras
import numpy as np
import pytest

from drnet_tf.graph import read_graph
from tests.pruning import random_graphs
from tests.pruning.graph_families.drawing import FAMILIES, HEADS
from tests.pruning.random_graph_checks import Result, examine

SEEDS, CHUNK = 300, 25
LEAST = 3  # times that a family has to be drawn

# Keras' word on networks that only chance makes.
pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax")


@functools.cache
def _examine_chunk(start: int) -> tuple[Result, ...]:
    results = tuple(examine(seed) for seed in range(start, start + CHUNK))
    # Keras remembers every model that was made since.
    keras.backend.clear_session()
    gc.collect()
    return results


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_prune_equals_apply_mask(start: int) -> None:
    failures = [x for x in _examine_chunk(start) if x.failure]
    assert not failures, "\n".join(
        f"seed {x.seed}: {x.failure}" for x in failures
    )


def test_every_family_is_drawn() -> None:
    counts: collections.Counter[str] = collections.Counter()
    for start in range(0, SEEDS, CHUNK):
        for result in _examine_chunk(start):
            counts.update(result.families)
    rare = {
        name: counts[name]
        for name in (*FAMILIES, *HEADS)
        if counts[name] < LEAST
    }
    assert not rare


def test_masked_channels_are_removed() -> None:
    """Equal networks alone would be easy: nothing needs to be cut for that."""
    results = [x for s in range(0, SEEDS, CHUNK) for x in _examine_chunk(s)]
    removed = sum(x.removed for x in results)
    assert removed >= 0.2 * sum(x.masked for x in results)


@pytest.mark.parametrize("seed", (0, 1, 17))
def test_the_seed_decides(seed: int) -> None:
    first, second = random_graphs.draw(seed), random_graphs.draw(seed)
    for a, b in zip(
        read_graph(first).calls, read_graph(second).calls, strict=True
    ):
        assert (a.name, a.inputs, a.outputs) == (b.name, b.inputs, b.outputs)
        if isinstance(a.operation, keras.layers.Layer):
            assert a.operation.get_config() == b.operation.get_config()
    weights = first.get_weights(), second.get_weights()
    assert all(map(np.array_equal, *weights))
    mask = random_graphs.draw_mask(first, seed)
    again = random_graphs.draw_mask(second, seed)
    assert list(mask.keep) == list(again.keep)
    assert all(np.array_equal(mask[x], again[x]) for x in mask.keep)


def test_drawing_leaves_the_settings_of_keras_alone():
    for seed in range(4):  # of both precisions
        random_graphs.draw(seed)
        assert keras.config.floatx() == "float32"
        assert keras.config.dtype_policy().name == "float32"
