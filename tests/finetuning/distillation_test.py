from __future__ import annotations

import keras
import numpy as np
import pytest

from drnet_tf.finetuning import (
    Distillation,
    distillation,
    finetune,
    finetune_all,
    student,
)
from drnet_tf.finetuning.images import TrainingImages
from drnet_tf.image_axes import channel_axis
from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import PrunedModel, prune
from drnet_tf.repair import repair
from drnet_tf.sites import gate_sites

ROWS = (2, 0)


def _network(softmax: bool = False) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(12, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="scores"),
        ],
        name="net",
    )
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([9 * kernel, bias])
    if softmax:
        inputs = keras.Input((8, 8, 3))
        model = keras.Sequential(
            [inputs, *model.layers, layers.Softmax()], name="net"
        )
    return model


def _images(count: int = 256) -> np.ndarray:
    generator = np.random.default_rng(0)
    colours = generator.normal(0, 1, (count, 1, 1, 3))
    noise = generator.normal(0, 0.5, (count, 8, 8, 3))
    return (colours + noise).astype("float32")


def _pruned(model: keras.Model) -> PrunedModel:
    (site,) = gate_sites(model)
    keep = np.arange(site.channels) % 3 == 0
    return prune(model, ChannelMask({site.name: keep}), classes=ROWS)


def _norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def _divergence(small: keras.Model, full: keras.Model, x: np.ndarray) -> float:
    """Mean KL of the sub-task's softmax, by NumPy."""
    goal = _log_softmax(full.predict(x, verbose=0)[:, list(ROWS)])
    found = _log_softmax(small.predict(x, verbose=0))
    return float((np.exp(goal) * (goal - found)).sum(-1).mean())


def test_the_pruned_network_learns_the_full_ones_answers() -> None:
    model, x = _network(), _images()
    pruned = _pruned(model)
    full_before = [w.copy() for w in model.get_weights()]
    small_before = [w.copy() for w in pruned.model.get_weights()]
    tuned = finetune(pruned, model, x, epochs=8, batch_size=32)
    before = _divergence(pruned.model, model, x)
    assert _divergence(tuned.model, model, x) < before / 3
    assert tuned.report is pruned.report
    assert len(tuned.history["loss"]) == tuned.best_epoch == 8
    for old, new in zip(full_before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(small_before, pruned.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [w.shape for w in tuned.model.get_weights()] == [
        w.shape for w in small_before
    ]


def test_probabilities_are_distilled_like_logits() -> None:
    model, x = _network(softmax=True), _images()
    plain = _network()
    settings = Distillation(epochs=2, batch_size=64)
    weights = [
        finetune(_pruned(m), m, x, settings).model.get_weights()
        for m in (model, plain)
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_a_seed_gives_the_same_bytes() -> None:
    model, x = _network(), _images()
    runs = [
        finetune(_pruned(model), model, x, seed=seed).model.get_weights()
        for seed in (3, 3, 4)
    ]
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(*runs[:2], strict=True)
    )
    assert not all(
        np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True)
    )


def test_labels_are_learned_and_other_classes_left_out() -> None:
    """Labels that contradict the full network win where they alone count."""
    model, x = _network(), _images()
    full = model.predict(x, verbose=0)[:, list(ROWS)].argmax(-1)
    wrong = np.array(ROWS)[1 - full]
    wrong[:50] = 1  # not of the sub-task
    tuned = finetune(
        _pruned(model),
        model,
        (x, wrong),
        epochs=20,
        batch_size=32,
        learning_rate=0.2,
        label_weight=1.0,
        augment=False,
    )
    found = np.array(ROWS)[tuned.model.predict(x[50:], verbose=0).argmax(-1)]
    assert (found == wrong[50:]).mean() > 0.9


def test_the_best_epoch_on_validation_images_is_kept() -> None:
    model, x = _network(), _images()
    labels = np.array(ROWS)[
        model.predict(x, verbose=0)[:, list(ROWS)].argmax(-1)
    ]
    pruned = _pruned(model)
    tuned = finetune(
        pruned,
        model,
        x,
        epochs=30,
        learning_rate=50.0,  # spoils the network at once
        patience=2,
        validation_data=(x, labels),
    )
    accuracies = tuned.history["accuracy"]
    assert len(accuracies) < 31  # stopped early
    assert tuned.best_epoch == int(np.argmax(accuracies))
    found = np.array(ROWS)[tuned.model.predict(x, verbose=0).argmax(-1)]
    assert (found == labels).mean() == accuracies[tuned.best_epoch]
    assert accuracies[0] == pytest.approx(
        (
            np.array(ROWS)[pruned.model.predict(x, verbose=0).argmax(-1)]
            == labels
        ).mean()
    )


def test_mixed_precision_trains_and_gives_float32_back() -> None:
    model, x = _network(), _images()
    pruned = _pruned(model)
    tuned = finetune(
        pruned, model, x, epochs=8, batch_size=32, dtype_policy="mixed_bfloat16"
    )
    before = _divergence(pruned.model, model, x)
    assert _divergence(tuned.model, model, x) < before / 3
    assert {layer.compute_dtype for layer in tuned.model.layers} == {"float32"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs is 0, expected at least 1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"label_weight": 2.0}, "label_weight is 2.0"),
        ({"label_weight": 0.5}, "got images without labels"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, float], words: str
) -> None:
    model = _network()
    with pytest.raises(ValueError, match=words):
        finetune(_pruned(model), model, _images(8), **settings)


def test_what_does_not_fit_is_refused() -> None:
    model, x = _network(), _images(8)
    with pytest.raises(ValueError, match="was not cut from the full_model"):
        finetune(_pruned(model), _network(), x)
    with pytest.raises(TypeError, match="got a Sequential, expected what"):
        finetune(model, model, x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"none|no image has one of the label"):
        finetune(_pruned(model), model, (x, np.ones(8, int)))


def test_a_network_that_takes_its_image_in_a_list() -> None:
    """Keras warns, and tests fail on warnings, where the structure differs."""
    plain, x = _network(), _images(64)
    model = keras.Model(plain.inputs, plain.outputs[0], name="net")
    labels = np.full(len(x), ROWS[0])
    tuned = finetune(_pruned(model), model, x, validation_data=(x, labels))
    assert len(tuned.history["accuracy"]) == 2


def test_norms_follow_a_training_of_few_steps() -> None:
    model, x = _network(), _images(128)
    model.get_layer("norm").moving_mean.assign(np.full(12, 5.0))
    pruned = _pruned(model)
    (small_norm,) = _norms(pruned.model)
    inputs = keras.Model(pruned.model.inputs, small_norm.input)
    mean = inputs.predict(x, verbose=0).mean((0, 1, 2))
    tuned = finetune(
        pruned, model, x, batch_size=32, learning_rate=1e-6, augment=False
    )
    (norm,) = _norms(tuned.model)
    # A hundredth of the start is left, and batches differ a little.
    np.testing.assert_allclose(norm.moving_mean, mean, atol=0.15)
    assert norm.momentum == 0.99  # the settings of the layer stay


def _statistics(network: PrunedModel) -> list[np.ndarray]:
    (norm,) = _norms(network.model)
    return norm.get_weights()


def test_norms_that_least_squares_fitted_to_stay_constants() -> None:
    model, x = _network(), _images(128)
    repaired = repair(_pruned(model), model, x, progress=False)
    tuned = finetune(repaired, model, x, batch_size=32)
    again = finetune(tuned, model, x, batch_size=32)
    for network in (tuned, again):
        assert not network.trained_norms
        for old, new in zip(
            _statistics(repaired), _statistics(network), strict=True
        ):
            np.testing.assert_array_equal(old, new)
        (norm,) = _norms(network.model)
        assert norm.trainable  # the settings of the layer stay
    before = _divergence(repaired.model, model, x)
    assert _divergence(tuned.model, model, x) < before


@pytest.mark.parametrize("method", [None, "norms"])
def test_other_norms_are_trained(method: str | None) -> None:
    model, x = _network(), _images(128)
    start = _pruned(model)
    if method:
        start = repair(start, model, x, method, progress=False)
    tuned = finetune(start, model, x, batch_size=32)
    assert tuned.trained_norms
    for old, new in zip(_statistics(start), _statistics(tuned), strict=True):
        assert not np.array_equal(old, new)


@pytest.mark.parametrize("train_norms", [False, True])
def test_norms_are_trained_as_asked(train_norms: bool) -> None:
    model, x = _network(), _images(128)
    start = _pruned(model)
    if train_norms:
        start = repair(start, model, x, progress=False)
    tuned = finetune(start, model, x, batch_size=32, train_norms=train_norms)
    assert tuned.trained_norms == train_norms
    same = [
        np.array_equal(old, new)
        for old, new in zip(_statistics(start), _statistics(tuned), strict=True)
    ]
    assert not any(same) if train_norms else all(same)


def test_several_networks_become_what_each_becomes_alone() -> None:
    model, x = _network(), _images(100)
    pruned = _pruned(model)
    both = [pruned, repair(pruned, model, x, progress=False)]
    settings = Distillation(epochs=2, batch_size=32)
    together = finetune_all(both, model, x, settings)
    for network, found in zip(both, together, strict=True):
        alone = finetune(network, model, x, settings)
        assert found.trained_norms == alone.trained_norms
        for a, b in zip(
            found.model.get_weights(), alone.model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    assert [x.trained_norms for x in together] == [True, False]
    assert finetune_all([], model, x) == []


def test_networks_of_other_classes_are_not_trained_together() -> None:
    model, x = _network(), _images(100)
    (site,) = gate_sites(model)
    mask = ChannelMask({site.name: np.arange(site.channels) % 3 == 0})
    other = prune(model, mask, classes=(0, 1))
    with pytest.raises(ValueError, match=r"outputs \[2, 0\] and \[0, 1\]"):
        finetune_all([_pruned(model), other], model, x)


def test_a_short_training_without_a_graph_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, x = _network(), _images(100)
    found = []
    for first in (1, 1000):
        monkeypatch.setattr(student, "_TRACED_FROM", first)
        found.append(finetune(_pruned(model), model, x, batch_size=32))
    for a, b in zip(*(n.model.get_weights() for n in found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_every_image_is_seen_and_batches_have_one_size() -> None:
    images = TrainingImages(np.arange(10.0), np.zeros((10, 2), "float32"))
    sizes, seen = set(), set()
    for x, _ in images.shuffled(4, np.random.default_rng(0)):
        sizes.add(len(x))
        seen.update(x.tolist())
    assert sizes == {4}
    assert seen == set(range(10))


def _of_planes(turned: bool) -> keras.Model:
    """Channels first, told by its layers or by what turns the images."""
    layers = keras.layers
    layout = "channels_last" if turned else "channels_first"
    x = inputs = keras.Input((3, 9, 8))
    if turned:
        x = keras.ops.transpose(x, (0, 3, 1, 2))  # columns, channels, rows
        x = layers.Permute((3, 1, 2))(x)
    x = layers.Conv2D(6, 3, data_format=layout)(x)
    x = layers.GlobalAveragePooling2D(data_format=layout)(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def test_the_channels_of_the_images_are_found() -> None:
    assert channel_axis(_network()) == 3
    for turned in (False, True):
        assert channel_axis(_of_planes(turned)) == 1
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Reshape((2, 4, 2, 4, 3))(x)
    x = keras.layers.Permute((1, 3, 2, 4, 5))(x)
    x = keras.layers.Dense(3)(keras.layers.Reshape((192,))(x))
    assert channel_axis(keras.Model(inputs, x)) == -1


def test_images_are_augmented_along_their_rows_and_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def augmented(x: np.ndarray, _: object, *, axis: int) -> np.ndarray:
        seen.append(axis)
        return x

    monkeypatch.setattr(distillation, "shift_and_flip", augmented)
    model = _of_planes(turned=True)
    x = np.random.default_rng(0).random((8, 3, 9, 8))
    finetune(_pruned(model), model, x)
    assert seen == [1]


def test_one_class_gives_nothing_to_learn() -> None:
    model = _network()
    (site,) = gate_sites(model)
    mask = ChannelMask({site.name: np.arange(site.channels) % 3 == 0})
    pruned = prune(model, mask, classes=(1,))
    with pytest.raises(
        ValueError, match="one class, whose softmax is 1 .*'lea"
    ):
        finetune(pruned, model, _images(8))


def test_images_of_another_shape_are_refused() -> None:
    model, x = _network(), _images(8)
    labels = np.full(8, ROWS[0])
    for wrong in (x[:, :4], x[..., :1], x[0], (x[:, :, :4], labels)):
        with pytest.raises(ValueError, match=r"finetune: got images of shape "):
            finetune(_pruned(model), model, wrong)
    with pytest.raises(ValueError, match=r"expected \(N, 8, 8, 3\); resize"):
        finetune(_pruned(model), model, x, validation_data=(x[..., :1], labels))
