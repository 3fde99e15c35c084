from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.repair import repair
from drnet_tf.repair.repair import repair_all
from drnet_tf.repair.report import RepairedModel
from drnet_tf.sites import gate_sites


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)


def _images(count: int = 24, shape: tuple[int, ...] = (8, 8, 3)) -> np.ndarray:
    generator = np.random.default_rng(7)
    return generator.normal(0.5, 1.0, (count, *shape)).astype("float32")


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(name=name)(x)


def _residual() -> keras.Model:
    """Two blocks, one with a projection, then a depthwise pair."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(x)
    x = layers.ReLU(name="stem_relu")(_norm(x, "stem_norm"))
    for number, (width, stride) in enumerate(((8, 1), (12, 2))):
        name, skip = f"block{number}", x
        x = layers.Conv2D(
            10, 3, stride, padding="same", use_bias=False, name=f"{name}_a"
        )(x)
        x = layers.ReLU(name=f"{name}_a_relu")(_norm(x, f"{name}_a_norm"))
        x = layers.Conv2D(
            width, 3, padding="same", use_bias=False, name=f"{name}_b"
        )(x)
        x = _norm(x, f"{name}_b_norm")
        if stride > 1:
            skip = layers.Conv2D(
                width, 1, stride, use_bias=False, name=f"{name}_skip"
            )(skip)
            skip = _norm(skip, f"{name}_skip_norm")
        x = layers.Add(name=f"{name}_add")([x, skip])
        x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.ReLU(name="depthwise_relu")(_norm(x, "depthwise_norm"))
    x = layers.Conv2D(9, 1, activation="relu", name="pointwise")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def _families() -> keras.Model:
    """Grouped, separable and transposed convolutions, a concatenation."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="a")(x)
    left = layers.Conv2D(
        8, 3, 2, padding="same", groups=2, activation="relu", name="grouped"
    )(x)
    left = layers.Conv2DTranspose(
        6, 3, 2, padding="same", activation="relu", name="up"
    )(left)
    right = layers.SeparableConv2D(
        6, 3, padding="same", activation="relu", name="separable"
    )(x)
    x = layers.Concatenate(name="join")([left, right])
    x = layers.Conv2D(5, 1, activation="relu", name="b")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(4, name="logits")(x))


def _randomized(model: keras.Model, seed: int = 0) -> keras.Model:
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            width = len(weights[0])
            weights = [
                generator.uniform(0.5, 1.5, width),
                generator.normal(0, 0.3, width),
                generator.normal(0, 0.3, width),
                generator.uniform(0.5, 1.5, width),
            ]
        layer.set_weights(weights)
    return model


def _mask(model: keras.Model, seed: int, kept: float = 0.6) -> ChannelMask:
    generator = np.random.default_rng(seed)
    return ChannelMask(
        {
            site.name: generator.random(site.channels) < kept
            for site in gate_sites(model)
        }
    )


def _everything(model: keras.Model) -> ChannelMask:
    return ChannelMask(
        {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    )


def _quietly(*args: object, **kwargs: object) -> RepairedModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return repair(*args, **kwargs)  # type: ignore[arg-type]


def _run(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(images, training=False))


NETWORKS = {"residual": _residual, "families": _families}


@pytest.mark.parametrize("name", NETWORKS)
def test_with_all_channels_kept_nothing_changes(name: str) -> None:
    model = _randomized(NETWORKS[name]())
    images = _images()
    repaired = _quietly(prune(model, _everything(model)), model, images)
    expected = _run(model, images)
    found = _run(repaired.model, images)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_with_all_channels_kept_norms_do_not_change() -> None:
    model = _randomized(_residual())
    images = _images()
    pruned = prune(model, _everything(model))
    repaired = repair(pruned, model, images, "norms")
    expected = _run(model, images)
    found = _run(repaired.model, images)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_outputs_come_nearer_to_the_full_network() -> None:
    model = _randomized(_residual())
    fitted, others = _images(200)[:160], _images(200)[160:]
    expected = _run(model, others)
    gains = []
    for seed in range(3):
        pruned = prune(model, _mask(model, seed, 0.8))
        repaired = _quietly(pruned, model, fitted)
        before = np.square(_run(pruned.model, others) - expected).mean()
        after = np.square(_run(repaired.model, others) - expected).mean()
        gains.append(before / after)
    assert min(gains) > 1.5, gains


def test_norms_have_the_moments_of_the_full_network() -> None:
    model, images = _randomized(_residual()), _images(60)
    mask = _mask(model, 0, 0.8)
    pruned = prune(model, mask)
    repaired = repair(pruned, model, images, "norms")
    assert not repaired.repair.layers
    for name in ("block0_a_norm", "block1_a_norm"):
        kept = mask[name.replace("_norm", "_relu")]
        full, small, hard = (
            _run(keras.Model(x.input, x.get_layer(name).output), images)
            for x in (model, repaired.model, pruned.model)
        )
        assert small.shape[-1] == kept.sum()
        for moment in (np.mean, np.std):
            goal = moment(full, (0, 1, 2))[kept]
            found = moment(small, (0, 1, 2))
            np.testing.assert_allclose(found, goal, rtol=1e-3, atol=1e-3)
            assert np.abs(moment(hard, (0, 1, 2)) - goal).max() > 0.02


@pytest.mark.parametrize("seed", range(4))
def test_every_family_comes_nearer(seed: int) -> None:
    model = _randomized(_families())
    fitted, others = _images(200)[:160], _images(200)[160:]
    pruned = prune(model, _mask(model, seed, 0.8))
    repaired = _quietly(pruned, model, fitted)
    expected = _run(model, others)
    before = np.square(_run(pruned.model, others) - expected).mean()
    after = np.square(_run(repaired.model, others) - expected).mean()
    assert after < before / 1.5


def _redundant() -> tuple[keras.Model, ChannelMask]:
    """Linear; the last two of five channels are mixtures of the others."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(5, 3, name="a"),
            layers.Activation("linear", name="site"),
            layers.Conv2D(3, 3, padding="same", name="b"),
        ]
    )
    generator = np.random.default_rng(3)
    kernel, bias = (
        generator.normal(size=x.shape) for x in model.layers[0].get_weights()
    )
    mixing = generator.normal(size=(3, 2))
    kernel[..., 3:] = kernel[..., :3] @ mixing
    bias[3:] = bias[:3] @ mixing
    model.layers[0].set_weights([kernel, bias])
    (site,) = (x for x in gate_sites(model) if x.channels == 5)
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    keep[site.name] = np.array([True, True, True, False, False])
    return model, ChannelMask(keep)


def test_redundant_channels_are_made_up_for_exactly() -> None:
    model, mask = _redundant()
    images = _images(40, (6, 6, 2))
    pruned = prune(model, mask)
    repaired = repair(pruned, model, images, ridge=1e-9)
    expected = _run(model, images)
    scale = np.abs(expected).max()
    hard = np.abs(_run(pruned.model, images) - expected).max()
    assert hard > 0.1 * scale  # the mask alone loses much
    # The reference: the kept maps' patches against the outputs, by NumPy. All
    # images and places are in it, zeros around the maps as Keras pads them.
    maps = _run(
        keras.Model(model.layers[0].input, model.layers[0].output), images
    )
    padded = np.pad(maps[..., :3], [(0, 0), (1, 1), (1, 1), (0, 0)])
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 27)
    rows = np.hstack([rows, np.ones((len(rows), 1))])
    goal = expected.reshape(-1, 3)
    weights = np.linalg.lstsq(rows, goal, rcond=None)[0]
    reference = (rows @ weights).reshape(expected.shape)
    found = _run(repaired.model, images)
    assert np.abs(reference - expected).max() < 1e-4 * scale
    assert np.abs(found - expected).max() < 1e-4 * scale
    assert np.abs(found - reference).max() < 1e-4 * scale
    kernel = repaired.model.get_layer("b").get_weights()[0]
    np.testing.assert_allclose(
        kernel.reshape(27, 3), weights[:-1], atol=1e-3 * np.abs(weights).max()
    )


def test_the_last_layer_of_a_branch_is_fitted_to_the_sum() -> None:
    """A linear stream loses a channel that its branch can give it back."""
    inputs = keras.Input((6, 6, 2))
    stem = layers.Conv2D(4, 1, name="stem")(inputs)
    inner = layers.Conv2D(6, 1, name="inner")(stem)
    branch = layers.Conv2D(4, 1, use_bias=False, name="branch")(inner)
    branch = layers.BatchNormalization(name="branch_norm")(branch)
    total = layers.Add(name="total")([stem, branch])
    model = _randomized(keras.Model(inputs, layers.Conv2D(3, 1)(total)))
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    keep["stem"][0] = False
    images = _images(30, (6, 6, 2))
    pruned = prune(model, ChannelMask(keep))
    repaired = repair(pruned, model, images, ridge=1e-9)
    assert {x.name: x.matched for x in repaired.repair.layers} == {
        "stem": "output",
        "inner": "output",
        "branch": "sum",
        model.layers[-1].name: "output",
    }
    expected = _run(model, images)
    found = _run(repaired.model, images)
    hard = np.abs(_run(pruned.model, images) - expected).max()
    assert np.abs(found - expected).max() < 1e-3 * hard


def test_neither_network_is_changed_and_a_seed_gives_the_same_bytes() -> None:
    model = _randomized(_residual())
    pruned = prune(model, _mask(model, 0), classes=(3, 1))
    before = [x.copy() for x in (*model.get_weights(),)]
    hard = [x.copy() for x in pruned.model.get_weights()]
    first = _quietly(pruned, model, _images(), seed=5, samples=300)
    again = _quietly(pruned, model, _images(), seed=5, samples=300)
    other = _quietly(pruned, model, _images(), seed=6, samples=300)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(hard, pruned.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    weights = first.model.get_weights()
    for old, new in zip(weights, again.model.get_weights(), strict=True):
        assert old.tobytes() == new.tobytes()
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(weights, other.model.get_weights(), strict=True)
    )
    assert [x.shape for x in weights] == [x.shape for x in hard]
    assert [x.name for x in first.model.layers] == [
        x.name for x in pruned.model.layers
    ]


def test_memory_in_files_gives_the_same_weights() -> None:
    model = _randomized(_residual())
    pruned = prune(model, _mask(model, 0))
    held = _quietly(pruned, model, _images(), batch_size=5)
    filed = _quietly(pruned, model, _images(), batch_size=5, max_bytes=0)
    for a, b in zip(
        held.model.get_weights(), filed.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_methods_can_follow_each_other() -> None:
    model = _randomized(_residual())
    pruned = prune(model, _mask(model, 0))
    norms = repair(pruned, model, _images(), "norms")
    both = _quietly(norms, model, _images())
    assert both.repair.method == "least_squares"
    assert norms.report is pruned.report is both.report


def test_silent_channels_stay_silent() -> None:
    """A channel that has to stay but is masked is zero after repair, too."""
    inputs = x = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 1, activation="relu", name="a")(x)
    y = layers.Conv2D(4, 1, activation="relu", name="b")(x)
    x = layers.Add(name="sum")([x, y])
    model = _randomized(keras.Model(inputs, layers.Conv2D(3, 1, name="c")(x)))
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    keep["b"][1] = False
    images = _images(30, (6, 6, 2))
    pruned = prune(model, ChannelMask(keep))
    assert pruned.report.silenced
    repaired = repair(pruned, model, images).model
    probe = keras.Model(repaired.input, repaired.get_layer("b").output)
    maps = _run(probe, images)
    assert not maps[..., 1].any() and maps.any()


def test_what_is_left_is_named_with_its_reason() -> None:
    shared = layers.Conv2D(3, 1, padding="same", name="shared")
    inputs = x = keras.Input((6, 6, 3))
    x = shared(layers.ReLU()(shared(x)))
    x = layers.Conv2D(4, 1, activation="relu", name="own")(x)
    x = layers.PReLU(name="slopes")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="last")(x))
    pruned = prune(model, _everything(model))
    report = repair(pruned, model, _images(30, (6, 6, 3))).repair
    assert [x.name for x in report.layers] == ["own", "last"]
    assert report.left == {
        "shared": "its layer is called more than once",
        "shared:1": "its layer is called more than once",
        "slopes": "a PReLU is not refitted",
    }
    assert "slopes: a PReLU is not refitted" in str(report)
    assert report.as_dict()["images"] == 30


def test_few_images_are_said() -> None:
    model = _randomized(_residual())
    pruned = prune(model, _everything(model))
    with pytest.warns(UserWarning, match="1 images give fewer samples") as seen:
        repair(pruned, model, _images(1))
    (told,) = (x for x in seen if x.category is UserWarning)
    assert "'pointwise'" not in str(told.message)
    assert "'block1_b'" in str(told.message)


REFUSED: dict[str, tuple[Callable[[np.ndarray], object], str]] = {
    "none": (lambda x: x[:0], "got no images"),
    "shape": (lambda x: x[:, :4], r"shape \(24, 4, 8, 3\)"),
    "rank": (lambda x: x[0], r"shape \(8, 8, 3\)"),
    "text": (lambda x: np.full(x.shape, "a"), "expected numbers"),
    "nan": (
        lambda x: np.where(np.arange(24)[:, None, None, None] == 3, np.nan, x),
        "image 3 has values that are not finite",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_images_that_do_not_suit_are_refused(name: str) -> None:
    spoil, message = REFUSED[name]
    model = _residual()
    pruned = prune(model, _everything(model))
    with pytest.raises(ValueError, match=message):
        repair(pruned, model, spoil(_images()))  # type: ignore[arg-type]


def test_what_does_not_stem_from_the_model_is_refused() -> None:
    model, other = _residual(), _residual()
    pruned = prune(model, _everything(model))
    with pytest.raises(ValueError, match="was not cut from the full_model"):
        repair(pruned, other, _images())
    with pytest.raises(TypeError, match="expected what drnet.prune returns"):
        repair(pruned.model, model, _images())  # type: ignore[arg-type]
    dry = prune(model, _everything(model), dry_run=True)
    with pytest.raises(ValueError, match="dry run"):
        repair(dry, model, _images())


def test_settings_that_make_no_sense_are_refused() -> None:
    model = _families()
    pruned = prune(model, _everything(model))
    for settings, message in (
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"method": "norms"}, "it has none"),
        ({"ridge": 0.0}, "ridge is 0.0"),
        ({"samples": 0}, "samples is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            repair(pruned, model, _images(), **settings)


def test_several_networks_are_repaired_as_each_alone() -> None:
    model = _randomized(_residual())
    networks = [prune(model, _mask(model, seed)) for seed in (0, 1)]
    jobs = [
        (network, method)
        for network in networks
        for method in ("least_squares", "norms")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        together = repair_all(jobs, model, _images())
    for (network, method), found in zip(jobs, together, strict=True):
        alone = _quietly(network, model, _images(), method)
        assert found.repair.method == method
        for a, b in zip(
            alone.model.get_weights(), found.model.get_weights(), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_stopped_repair_goes_on(tmp_path: Path) -> None:
    model = _randomized(_residual())
    pruned = prune(model, _mask(model, 0))
    whole = _quietly(pruned, model, _images(), work_dir=tmp_path / "work")
    files = sorted((tmp_path / "work" / "network_0").glob("layer_*"))
    assert len(files) == len(whole.repair.layers)
    times = {file: file.stat().st_mtime_ns for file in files}
    for file in files[4:]:
        file.unlink()
    again = _quietly(pruned, model, _images(), work_dir=tmp_path / "work")
    for a, b in zip(
        whole.model.get_weights(), again.model.get_weights(), strict=True
    ):
        assert a.tobytes() == b.tobytes()
    assert again.repair == whole.repair
    assert all(file.stat().st_mtime_ns == times[file] for file in files[:4])
    with pytest.raises(ValueError, match="holds another run: its 'seed' is 0"):
        repair(pruned, model, _images(), work_dir=tmp_path / "work", seed=1)


def test_operators_and_nested_models_are_repaired() -> None:
    inner = y = keras.Input((6, 6, 4))
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="a")(y)
    y = layers.Conv2D(4, 1, name="b")(y)
    block = keras.Model(inner, y + inner, name="block")
    inputs = keras.Input((6, 6, 2))
    x = keras.ops.relu(layers.Conv2D(4, 1, name="stem")(inputs))
    x = keras.ops.relu(block(x) * 0.5)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, name="scores")(x))
    images = _images(120, (6, 6, 2))
    keep = {x.name: np.ones(x.channels, bool) for x in gate_sites(model)}
    keep["block/a"][:3] = False
    pruned = prune(model, ChannelMask(keep))
    repaired = _quietly(pruned, model, images[:80])
    matched = {x.name: x.matched for x in repaired.repair.layers}
    assert matched["b"] == "sum" and matched["a"] == "output"
    expected = _run(model, images[80:])
    before = np.square(_run(pruned.model, images[80:]) - expected).mean()
    after = np.square(_run(repaired.model, images[80:]) - expected).mean()
    assert after < before / 1.5


def _on_integers() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255)((x - 127) * 2)  # wraps around in uint8
    x = layers.Conv2D(12, 3, activation="relu", name="conv")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="last")(x)
    x = layers.Dense(4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


def test_integer_images_are_read_as_the_network_reads_them() -> None:
    for model in (_on_integers(), _families()):
        shape = model.inputs[0].shape[1:]
        images = np.random.default_rng(0).integers(0, 256, (24, *shape))
        pruned = prune(model, _mask(model, seed=1))
        weights = [
            _quietly(pruned, model, images.astype(kind)).model.get_weights()
            for kind in ("uint8", "float32")
        ]
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)
