"""What holds for every method of dissection, on networks of every kind."""

from __future__ import annotations

import functools
import json

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.dissection.accuracy_reduction import AccuracyReduction
from drnet_tf.dissection.baselines import (
    BatchNormScale,
    Magnitude,
    MeanActivation,
    Random,
)
from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.class_masks import ClassMasks
from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.frat import FRAT
from drnet_tf.dissection.relevance import Relevance
from drnet_tf.dissection.taylor import Taylor
from drnet_tf.fingerprints import fingerprint
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import union
from drnet_tf.sites import gate_sites

# One line for each method; a name may stand for more than one setting.
METHODS = {
    "cdrp": CDRP(iterations=2, balance=1.0),
    "accuracy_reduction": AccuracyReduction(greedy=False),
    "accuracy_reduction greedy": AccuracyReduction(step=2),
    "random": Random(),
    "magnitude": Magnitude(),
    "batch_norm_scale": BatchNormScale(),
    "mean_activation": MeanActivation(),
    "taylor": Taylor(),
    "frat": FRAT(of="logit"),
    "relevance": Relevance(),
    "relevance soft": Relevance(mode="soft"),
    "class_masks": ClassMasks(epochs=1),
}
NAMES = ("cat", "dog", "cow")
_PER_CLASS = 2


def _block(x, filters, name, *, depthwise=False, relu=True):
    """Convolution, batch norm with scales of its own, ReLU."""
    kind = layers.DepthwiseConv2D if depthwise else layers.Conv2D
    sizes = (3,) if depthwise else (filters, 3)
    x = kind(*sizes, padding="same", use_bias=False, name=f"{name}_conv")(x)
    uneven = keras.initializers.RandomUniform(0.5, 1.5, seed=len(name))
    x = layers.BatchNormalization(gamma_initializer=uneven, name=f"{name}_bn")(
        x
    )
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _vgg(x):
    x = layers.MaxPooling2D()(_block(x, 4, "one"))
    return layers.Flatten()(_block(x, 3, "two"))


def _resnet(x):
    x = _block(x, 4, "stem")
    y = _block(_block(x, 3, "inner"), 4, "last", relu=False)
    x = layers.ReLU(name="sum_relu")(layers.Add()([x, y]))
    return layers.GlobalAveragePooling2D()(x)


def _mobilenet(x):
    x = _block(x, 3, "stem")
    y = _block(_block(x, 4, "expand"), 4, "depth", depthwise=True)
    x = layers.Add()([x, _block(y, 3, "project", relu=False)])
    return layers.GlobalAveragePooling2D()(_block(x, 4, "top"))


def _nested(x):
    inside = keras.Input((6, 6, 2))
    body = keras.Model(inside, _block(inside, 3, "one"), name="body")
    return layers.GlobalAveragePooling2D()(_block(body(x), 3, "two"))


NETWORKS = {
    "vgg": _vgg,
    "resnet": _resnet,
    "mobilenet": _mobilenet,
    "nested": _nested,
}


@functools.cache
def network(kind):
    """A network, and images with labels that it classifies rightly."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 2))
    head = layers.Dense(3, name="scores", kernel_initializer="glorot_normal")
    model = keras.Model(image, head(NETWORKS[kind](image)), name=kind)
    random = np.random.default_rng(0)
    images = random.normal(size=(90, 6, 6, 2)).astype("float32")
    # Every class shall be the answer to a third or so of the images.
    logits = np.asarray(model(images))
    head.bias.assign(-np.median(logits, axis=0))
    labels = np.asarray(model(images)).argmax(1)
    drawn = np.sort(
        [np.flatnonzero(labels == k)[:_PER_CLASS] for k in range(3)], axis=None
    )
    return model, (images[drawn], labels[drawn])


def run(method, model, data, names=NAMES, **options):
    return dissect(
        model,
        data,
        METHODS[method],
        class_names=names,
        images_per_class=_PER_CLASS,
        batch_size=4,
        progress=False,
        **options,
    )


@functools.cache
def found(method, kind):
    """What is found, and whether the model was left as it was."""
    model, data = network(kind)
    before = fingerprint(model), _flags(model), model.get_config()
    importance = run(method, model, data)
    after = fingerprint(model), _flags(model), model.get_config()
    return importance, before == after


def _flags(model):
    return [(x.name, x.trainable, x.built) for x in model.layers]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_scores_fit_every_network_and_leave_it_alone(method, kind):
    importance, untouched = found(method, kind)
    assert untouched
    assert importance.method == method.split()[0]
    assert importance.class_names == NAMES
    sites = gate_sites(network(kind)[0])
    assert importance.channels == {x.name: x.channels for x in sites}
    for scores in importance.scores.values():
        assert scores.shape[0] == 3 and scores.dtype == np.float32
        assert np.isfinite(scores).all() and (scores >= 0).all()
    assert any(x.any() for x in importance.scores.values())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bytes(method, tmp_path):
    importance, _ = found(method, "vgg")
    importance.save(tmp_path / "first")
    run(method, *network("vgg")).save(tmp_path / "again")
    first = (tmp_path / "first").read_bytes()
    assert first == (tmp_path / "again").read_bytes()
    loaded = ChannelImportance.load(tmp_path / "first")
    assert loaded.config == json.loads(json.dumps(importance.config))
    for site, scores in importance.scores.items():
        np.testing.assert_array_equal(loaded.scores[site], scores)


@pytest.mark.parametrize("method", METHODS)
def test_permuted_classes_permute_the_rows(method):
    model, (images, labels) = network("vgg")
    order = np.array([2, 0, 1])  # new class k is the old class order[k]
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    kernel, bias = model.get_layer("scores").get_weights()
    other.get_layer("scores").set_weights([kernel[:, order], bias[order]])
    names = tuple(np.array(NAMES)[order].tolist())
    permuted = run(method, other, (images, np.argsort(order)[labels]), names)
    for site, scores in found(method, "vgg")[0].scores.items():
        np.testing.assert_allclose(
            permuted.scores[site], scores[order], rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("method", METHODS)
def test_tied_sites_are_scored(method):
    model, data = network("resnet")
    importance = run(method, model, data, coupling="tied")
    sites = gate_sites(model, "tied")
    assert importance.channels == {x.name: x.channels for x in sites}
    assert importance.config["coupling"] == "tied"


@pytest.mark.parametrize("method", METHODS)
def test_a_mask_can_be_made(method):
    importance, _ = found(method, "vgg")
    largest = max(x[1].max() for x in importance.scores.values())
    mask = union(importance, ("dog",), float(largest) / 2)
    assert 0 < mask.kept <= mask.total


@pytest.mark.parametrize("method", METHODS)
def test_bad_input_is_refused(method):
    model, (images, labels) = network("vgg")
    with pytest.raises(ValueError, match="3 outputs, got 2 class names"):
        run(method, model, (images, labels % 2), NAMES[:2])
    with pytest.raises(ValueError, match="'cow' has 0 images"):
        run(method, model, (images, labels % 2))
    with pytest.raises(ValueError, match="finite|NaN"):
        run(method, model, (images * np.nan, labels))
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="found no convolution"):
        run(method, plain, (np.zeros((3, 4)), np.arange(3)))
