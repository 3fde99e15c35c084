"""Tied sites: what they join, and that all they silence can be removed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.dissect import dissect
from drnet_tf.gates import apply_mask, gate_model, gate_names
from drnet_tf.masked_network import MaskedNetwork
from drnet_tf.masks import ChannelMask, union
from drnet_tf.pruning import prune
from drnet_tf.sites import gate_sites
from drnet_tf.subtasks import DRNet
from tests.pruning import nets


def _mask(model: keras.Model, share: float, seed: int) -> ChannelMask:
    """A random mask that keeps at least one channel of each site."""
    generator = np.random.default_rng(seed)
    keep = {}
    for site in gate_sites(model, "tied"):
        keep[site.name] = generator.random(site.channels) < share
        keep[site.name][generator.integers(site.channels)] = True
    return ChannelMask(keep)


def test_a_residual_stage_is_one_site() -> None:
    sites = gate_sites(nets.make("residual"), coupling="tied")
    assert [(s.name, s.channels, len(s.places)) for s in sites] == [
        ("stem_relu+2", 5, 3),
        ("a_relu", 5, 1),
        ("b_relu", 5, 1),
        ("c_relu", 6, 1),
        ("c_out+1", 6, 2),
        ("d_relu", 6, 1),
    ]


def test_a_chain_has_the_same_sites_tied_and_free() -> None:
    model = nets.make("chain")
    assert gate_sites(model, "tied") == gate_sites(model)


def test_groups_lose_as_many_channels_each() -> None:
    sites = {s.name: s for s in gate_sites(nets.make("excited"), "tied")}
    (groups,) = (s for name, s in sites.items() if name.startswith("groups"))
    # 12 channels of 4 groups, read in 2 groups: what each of them reads or
    # makes at one place of its group is one gate.
    assert groups.channels < 12


@pytest.mark.parametrize("name", nets.NETS)
def test_all_that_is_silenced_goes(name: str) -> None:
    model = nets.make(name)
    images = nets.images(model)
    for seed, share in enumerate((0.8, 0.5, 0.2)):
        mask = _mask(model, share, seed)
        pruned = prune(model, mask, verify=True)
        assert pruned.report.masked_removed == pruned.report.masked > 0
        assert pruned.report.silenced == ()
        expected = np.array(apply_mask(model, mask)(images))
        np.testing.assert_allclose(
            pruned.model(images),
            expected,
            rtol=0,
            atol=1e-5 * np.abs(expected).max(),
        )


@pytest.mark.parametrize("name", nets.NETS)
def test_open_gates_change_no_bit(name: str) -> None:
    model = nets.make(name)
    gated = gate_model(model, coupling="tied")
    images = nets.images(model)
    np.testing.assert_array_equal(gated(images), model(images))
    sites = gate_sites(model, "tied")
    for site in sites:
        gate = gated.get_layer(gate_names(sites)[site.name])
        assert gate.gates.shape == (site.channels,)


def test_channels_that_can_never_go_have_no_tied_site() -> None:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(16, activation="gelu", name="wide")(x)
    x = layers.Dense(4, name="narrow")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert [s.name for s in gate_sites(model)] == ["norm", "wide", "narrow"]
    tied = gate_sites(model, "tied")
    assert [s.name for s in tied] == ["wide", "narrow"]


def test_a_tensor_read_before_its_gate_is_gated_where_it_is_written() -> None:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    y = layers.ReLU(name="relu")(x)
    y = layers.Conv2D(3, 3, padding="same", activation="relu", name="next")(y)
    z = layers.Conv2D(3, 3, padding="same", activation="relu", name="past")(x)
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()([y, z]))
    model = keras.Model(inputs, layers.Dense(2)(x))
    sites = {site.name: site for site in gate_sites(model, "tied")}
    assert len(sites["relu+0"].places) == 2
    mask = _mask(model, 0.5, 0)
    report = prune(model, mask, verify=True).report
    assert report.masked_removed == report.masked


def test_an_unknown_coupling_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        gate_sites(nets.make("chain"), coupling="loose")
    assert str(caught.value) == (
        "coupling: got 'loose', expected 'free' or 'tied'."
    )


def test_a_tied_dissection_gives_sub_networks() -> None:
    model = nets.make("residual")
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 3))
    images = images.astype("float32")
    # Classes that are all there: the head's bias evens out their scores.
    head = model.get_layer("classes")
    scores = np.log(np.array(model(images)))
    head.bias.assign_sub(scores.mean(0))
    labels = np.array(model(images)).argmax(1)
    names = ("ant", "bee", "cat", "dog")
    importance = dissect(
        model,
        (images, labels),
        CDRP(iterations=20, balance=1.0),
        class_names=names,
        images_per_class=1,
        coupling="tied",
    )
    assert importance.config["coupling"] == "tied"
    sites = gate_sites(model, "tied")
    assert list(importance.scores) == [site.name for site in sites]
    scores = np.concatenate([x.ravel() for x in importance.scores.values()])
    threshold = float(np.median(scores))
    mask = union(importance, ("ant", "dog"), threshold)
    network = MaskedNetwork(model)
    expected = np.array(apply_mask(model, mask)(images))
    np.testing.assert_allclose(network(images, mask), expected, atol=1e-6)
    sub = DRNet(model, importance).subtask(("ant", "dog"), threshold=threshold)
    assert sub.report.masked_removed == sub.report.masked > 0
