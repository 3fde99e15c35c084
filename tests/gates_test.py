"""Tests of drnet_tf/gates.py."""

from __future__ import annotations

import inspect
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from drnet_tf.channel_gate import ChannelGate, apply_gates
from drnet_tf.gates import (
    apply_mask,
    gate_model,
    gate_names,
    per_image_gate_model,
)
from drnet_tf.masks import ChannelMask
from drnet_tf.sites import gate_sites


def images(count=5, shape=(8, 8, 3), seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, *shape)).astype("float32")


def with_random_norms(model, seed=0):
    """Statistics as training leaves them: no mean and no beta is 0."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("bias", "beta", "moving_mean"):
            variable.assign(random.normal(0, 0.3, variable.shape))
    return model


def residual(policy="float32"):
    """A residual block with norms, an operator relu and two heads' worth."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    options = {"padding": "same", "dtype": policy}
    x = layers.Conv2D(4, 3, name="stem", **options)(image)
    x = layers.BatchNormalization(name="stem_norm", dtype=policy)(x)
    x = stem = ops.relu(x)
    x = layers.Conv2D(6, 3, name="conv1", activation="relu", **options)(x)
    x = layers.Dropout(0.5, dtype=policy)(x)
    x = layers.Conv2D(4, 3, name="conv2", **options)(x)
    x = layers.BatchNormalization(name="norm2", dtype=policy)(x)
    x = layers.ReLU(name="out", dtype=policy)(stem + x)
    x = layers.Conv2D(5, 3, name="linear", strides=2, **options)(x)
    x = layers.GlobalAveragePooling2D(dtype=policy)(x)
    x = layers.Dense(3, name="logits", dtype="float32")(x)
    return with_random_norms(keras.Model(image, x, name="net"))


def backbone(name):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv", padding="same")(image)
    return keras.Model(image, layers.ReLU(name="relu")(x), name=name)


def twins():
    """Two nested models whose layers have the same names."""
    image = keras.Input((8, 8, 3))
    x = layers.Add()([backbone("a")(image), backbone("b")(image)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x), name="twins")


def random_mask(model, seed=0):
    random = np.random.default_rng(seed)
    return ChannelMask(
        {s.name: random.random(s.channels) < 0.5 for s in gate_sites(model)}
    )


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_gate_multiplies_its_channel_at_any_rank_and_axis(rank, axis):
    shape = (2, 3, 4, 5, 6)[:rank]
    x = images(shape[0], shape[1:])
    gate = ChannelGate(axis)
    np.testing.assert_array_equal(gate(x), x)
    factors = np.linspace(0, 2, shape[axis]).astype("float32")
    gate.set_weights([factors])
    found = np.moveaxis(np.asarray(gate(x)), axis, -1)
    np.testing.assert_array_equal(found, np.moveaxis(x, axis, -1) * factors)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_gates_per_image_multiply_each_row_by_its_own(rank, axis):
    shape = (2, 3, 4, 5, 6)[:rank]
    x, gates = images(shape[0], shape[1:]), images(2, (shape[axis],), seed=1)
    found = np.asarray(apply_gates(x, gates, axis))
    for row in range(2):
        each = np.moveaxis(x[row], axis if axis < 0 else axis - 1, -1)
        moved = np.moveaxis(found[row], axis if axis < 0 else axis - 1, -1)
        np.testing.assert_array_equal(moved, each * gates[row])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_gate_in_mixed_precision_keeps_float32_gates(policy):
    gate = ChannelGate(dtype=policy)
    x = ops.cast(images(2), policy.removeprefix("mixed_"))
    y = gate(x)
    assert gate.gates.dtype == "float32"
    assert keras.backend.standardize_dtype(y.dtype) == x.dtype.name
    np.testing.assert_array_equal(
        ops.cast(y, "float32"), ops.cast(x, "float32")
    )


def test_gate_round_trips_through_its_config_and_a_keras_file(tmp_path):
    gate = ChannelGate(1, name="g", trainable=False)
    copy = ChannelGate.from_config(gate.get_config())
    assert (copy.axis, copy.name, copy.trainable) == (1, "g", False)
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), ChannelGate(-1, name="g"), layers.Flatten()]
    )
    model.get_layer("g").set_weights([np.array([0.0, 0.5, 1.0])])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = images(2, (4, 4, 3))
    assert isinstance(loaded.get_layer("g"), ChannelGate)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_gate_can_be_trained_or_frozen():
    gate, frozen = ChannelGate(), ChannelGate(trainable=False)
    gate.build((None, 3))
    frozen.build((None, 3))
    assert len(gate.trainable_weights) == 1
    assert frozen.trainable_weights == []
    assert gate.compute_output_shape((None, 4, 3)) == (None, 4, 3)


def test_axes_that_hold_no_channels_are_refused():
    with pytest.raises(ValueError) as error:
        ChannelGate(0, name="g")
    assert str(error.value) == (
        "ChannelGate 'g': axis 0 is the batch; expected the channel axis, "
        "e.g. -1 for channels last or 1 for channels first."
    )
    for axis, shape in (
        (3, (None, 4, 3)),
        (-3, (None, 4, 3)),
        (1, (None, None, 3)),
    ):
        with pytest.raises(ValueError) as error:
            ChannelGate(axis, name="g").build(shape)
        assert str(error.value) == (
            "ChannelGate 'g': expected a known number of channels on axis "
            f"{axis}, got shape {shape}; pass the axis that holds the channels."
        )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_open_gates_change_no_bit(policy):
    model, x = residual(policy), images(7)
    gated = gate_model(model)
    assert np.array_equal(gated(x), model(x))
    assert np.array_equal(
        gated.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    gates = [y for y in gated.layers if isinstance(y, ChannelGate)]
    assert {y.compute_dtype for y in gates} == {policy.removeprefix("mixed_")}
    assert {y.gates.dtype for y in gates} == {"float32"}


def test_gated_model_has_a_gate_for_each_site_and_shares_the_weights():
    model = residual()
    gated = gate_model(model)
    sites = gate_sites(model)
    assert [s.convs for s in sites] == [
        ("stem",),
        ("conv1",),
        ("conv2",),
        ("linear",),
    ]
    gates = [gated.get_layer(name) for name in gate_names(sites).values()]
    assert [g.gates.shape for g in gates] == [(4,), (6,), (4,), (5,)]
    own = {id(variable) for variable in model.variables}
    added = {id(gate.gates) for gate in gates}
    assert {id(variable) for variable in gated.variables} == own | added
    assert gated.name == "net"


def test_gate_that_is_closed_silences_its_channel_alone():
    model, x = residual(), images()
    gated = gate_model(model)
    gated.get_layer("conv1_gate").gates.assign([1, 1, 0, 1, 1, 1])
    conv2 = model.get_layer("conv2")
    kernel, bias = conv2.get_weights()
    silent = kernel.copy()
    silent[:, :, 2] = 0
    found = np.asarray(gated(x))
    conv2.set_weights([silent, bias])
    np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)
    assert not np.allclose(
        found, (conv2.set_weights([kernel, bias]), model(x))[1]
    )


@pytest.mark.parametrize(
    "make",
    [
        gate_model,
        lambda model: apply_mask(model, random_mask(model)),
        per_image_gate_model,
    ],
)
def test_the_callers_model_is_left_as_it_is(make):
    model, x = residual(), images()
    model.get_layer("stem").trainable = False

    def state():
        return (
            [(layer.name, layer.trainable) for layer in model.layers],
            [(id(v), v.path, v.trainable) for v in model.variables],
            [id(tensor) for tensor in (*model.inputs, *model.outputs)],
        )

    before, weights, outputs = state(), model.get_weights(), model(x)
    made = make(model)
    made([x, *(np.zeros((5, y.shape[1])) for y in made.inputs[1:])]
         if len(made.inputs) > 1 else x)  # fmt: skip
    assert state() == before
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.array_equal(model(x), outputs)


def test_open_gates_change_no_bit_where_nested_models_share_names():
    model, x = twins(), images()
    gated = gate_model(model)
    assert np.array_equal(gated(x), model(x))
    gated.get_layer("a_relu_gate").gates.assign(np.zeros(4))
    gated.get_layer("b_relu_gate").gates.assign(np.zeros(4))
    bias = model.layers[-1].bias
    np.testing.assert_array_equal(gated(x), np.tile(bias, (5, 1)))


def test_model_that_has_gates_can_be_gated_again():
    model, x = gate_model(residual()), images()
    assert np.array_equal(gate_model(model)(x), model(x))


def test_gated_model_with_several_inputs_and_outputs():
    a, b = keras.Input((4, 4, 2), name="a"), keras.Input((3,), name="b")
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(a)
    x = layers.Concatenate()([layers.Flatten()(x), b])
    model = keras.Model(
        {"a": a, "b": b},
        {"one": layers.Dense(2)(x), "two": layers.Dense(3)(x)},
    )
    gated = gate_model(model)
    fed = {"a": images(2, (4, 4, 2)), "b": images(2, (3,))}
    for name, output in model(fed).items():
        assert np.array_equal(gated(fed)[name], output)


def test_gates_are_trained_by_keras_itself():
    gated = gate_model(residual())
    for layer in gated.layers:
        layer.trainable = isinstance(layer, ChannelGate)
    gated.compile("sgd", "mse")
    gated.fit(images(), np.ones((5, 3)), verbose=0)
    gates = gated.get_layer("conv1_gate").gates.numpy()
    assert np.isfinite(gates).all() and (gates != 1).any()


def by_hand(model, mask, x):
    """The residual net run layer by layer, with NumPy multiplications."""
    masks = {
        s.convs[0]: mask[s.name].astype("float32") for s in gate_sites(model)
    }

    def run(name, inputs):
        return model.get_layer(name)(inputs).numpy()

    stem = np.maximum(run("stem_norm", run("stem", x)), 0) * masks["stem"]
    y = run("conv1", stem) * masks["conv1"]
    y = run("norm2", run("conv2", y))
    y = np.maximum(stem + y, 0) * masks["conv2"]
    y = run("linear", y) * masks["linear"]
    return run("logits", y.mean((1, 2)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mask_means_channels_times_zero(seed):
    model, x = residual(), images()
    mask = random_mask(model, seed)
    masked = apply_mask(model, mask)
    np.testing.assert_allclose(
        masked(x), by_hand(model, mask, x), rtol=1e-5, atol=1e-6
    )
    assert not np.allclose(masked(x), model(x), atol=1e-3)
    np.testing.assert_allclose(
        masked.predict(x, verbose=0), masked(x), rtol=1e-5, atol=1e-6
    )


def test_mask_of_all_channels_changes_no_bit_and_gates_cannot_be_trained():
    model, x = residual(), images()
    full = {s.name: np.ones(s.channels, bool) for s in gate_sites(model)}
    masked = apply_mask(model, ChannelMask(full))
    assert np.array_equal(masked(x), model(x))
    gates = [y for y in masked.layers if isinstance(y, ChannelGate)]
    assert len(gates) == 4 and not any(y.trainable for y in gates)


def test_masked_model_round_trips_through_a_keras_file(tmp_path):
    model, x = residual(), images()
    masked = apply_mask(model, random_mask(model))
    masked.save(tmp_path / "masked.keras")
    loaded = keras.models.load_model(tmp_path / "masked.keras")
    np.testing.assert_array_equal(loaded(x), masked(x))


def test_channels_first_masks_silence_the_first_axis():
    # Built from layers that run channels first on every device.
    image = keras.Input((2, 4, 4))
    conv = layers.DepthwiseConv2D(
        1, data_format="channels_first", name="conv", depth_multiplier=1
    )
    (site,) = gate_sites(
        keras.Model(image, layers.Dense(2)(layers.Flatten()(conv(image))))
    )
    x = images(3, (2, 4, 4))
    found = apply_gates(x, np.array([0.0, 1.0], "float32"), site.axis)
    np.testing.assert_array_equal(found[:, 0], np.zeros((3, 4, 4)))
    np.testing.assert_array_equal(found[:, 1], x[:, 1])


def test_masks_of_other_models_are_refused():
    model = residual()
    widths = {s.name: s.channels for s in gate_sites(model)}
    first = next(iter(widths))
    with pytest.raises(ValueError, match="conv1") as error:
        apply_mask(
            model,
            ChannelMask(
                {n: np.ones(7 if n == "conv1" else c, bool)
                 for n, c in widths.items()}
            ),
        )  # fmt: skip
    assert "7" in str(error.value) and "6" in str(error.value)
    assert "net" in str(error.value)
    with pytest.raises(ValueError, match=first):
        apply_mask(model, ChannelMask({"elsewhere": np.ones(4, bool)}))


def test_gates_per_image_equal_each_image_under_its_own_gates():
    model, x = residual(), images()
    gated, per_image = gate_model(model), per_image_gate_model(model)
    sites = gate_sites(model)
    random = np.random.default_rng(0)
    gates = [random.uniform(0, 2, (5, s.channels)) for s in sites]
    found = np.asarray(per_image([x, *gates]))
    for row in range(5):
        for site, values in zip(sites, gates, strict=True):
            gate = gated.get_layer(gate_names(sites)[site.name])
            gate.gates.assign(values[row])
        np.testing.assert_allclose(
            found[row], gated(x[row : row + 1])[0], rtol=1e-4, atol=1e-5
        )
    # A row is not moved by the gates of another.
    gates[0][1:] = 0
    other = np.asarray(per_image([x, *gates]))
    np.testing.assert_allclose(other[0], found[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(other[1], found[1], atol=1e-3)


def test_gates_per_image_of_nested_models_that_share_names():
    model, x = twins(), images(2)
    per_image = per_image_gate_model(model)
    assert [y.shape for y in per_image.inputs[1:]] == [(None, 4), (None, 4)]
    ones = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(per_image([x, ones, ones]), model(x))


def test_models_without_a_site_are_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="net")
    for make in (gate_model, per_image_gate_model):
        with pytest.raises(ValueError, match="'net': found no convolution"):
            make(model)


def test_layers_may_be_named_as_the_gates_operators():
    """Keras named the gates' own operators `reshape_1`, ... as well."""
    keras.backend.clear_session()
    inputs = x = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 1, activation="relu", name="conv")(x)
    for end in ("", "_1", "_2"):
        x = keras.layers.Reshape((4, 4, 3), name=f"reshape{end}")(x)
        x = keras.layers.Multiply(name=f"multiply{end}")([x, x])
    model = keras.Model(inputs, x)
    names = [layer.name for layer in model.layers]
    gated = per_image_gate_model(model)
    images = np.ones((2, 4, 4, 2), "float32")
    expected = model(images)
    found = gated([images, np.ones((2, 3), "float32")])
    np.testing.assert_array_equal(found, expected)
    assert [layer.name for layer in model.layers] == names


def test_networks_at_the_limit_of_keras_recursion_can_be_gated():
    x = inputs = keras.Input((4, 4, 2))
    for _ in range(150):  # with its gates: 3 x 150 operations and more
        x = keras.layers.Conv2D(2, 1)(x)
        x = keras.layers.ReLU()(x)
    model = keras.Model(inputs, x)
    limit = sys.getrecursionlimit()
    depth = len(inspect.stack())
    try:
        sys.setrecursionlimit(depth + 400)  # enough for the network itself
        gated = gate_model(model)
        assert sys.getrecursionlimit() == depth + 400
    finally:
        sys.setrecursionlimit(limit)
    assert len(gated.layers) == 450


def _alike() -> keras.Model:
    """A nested layer `a/b` and a layer `a_b`."""
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(3, 3, activation="relu", padding="same", name="b"),
        ],
        name="a",
    )
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="a_b")(inner(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4)(x))


def test_names_of_gates_are_unique():
    model, x = _alike(), images(2)
    sites = gate_sites(model)
    names = gate_names(sites)
    assert names == {"a/b": "a_b__gate", "a_b": "a_b_gate"}
    ones = [np.ones((2, s.channels), "float32") for s in sites]
    per_image = per_image_gate_model(model)
    np.testing.assert_array_equal(per_image([x, *ones]), model(x))
    gated = gate_model(model)
    for site in sites:
        gate = gated.get_layer(names[site.name])
        assert gate.gates.shape == (site.channels,)
