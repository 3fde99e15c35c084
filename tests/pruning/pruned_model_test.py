"""`prune` against networks that were masked by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from drnet_tf.masks import ChannelMask
from drnet_tf.pruning import prune
from drnet_tf.sites import gate_sites
from tests.pruning import nets

TOLERANCE = 1e-5  # of the largest absolute output


def _sites(model: keras.Model) -> dict[str, int]:
    return {site.name: site.channels for site in gate_sites(model)}


def _assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    difference = np.abs(found - expected).max()
    assert difference <= TOLERANCE * np.abs(expected).max()


def _masks(model: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """Masks of all kinds: 10 % and 50 % gone, layers emptied, one channel."""
    sites = _sites(model)
    masks = {
        f"keep {share}": nets.random_keep(sites, share, seed=1)
        for share in (0.9, 0.5)
    }
    for site in list(sites)[::2]:
        masks[f"{site} emptied"] = {
            **nets.random_keep(sites, 0.8, 3),
            site: np.zeros(sites[site], bool),
        }
    masks["one channel each"] = {
        site: np.arange(channels) == channels // 2
        for site, channels in sites.items()
    }
    masks["nothing"] = {
        site: np.zeros(channels, bool) for site, channels in sites.items()
    }
    return masks


@pytest.mark.parametrize("name", nets.NETS)
def test_equals_the_network_masked_by_hand(name: str) -> None:
    model = nets.make(name)
    images = nets.images(model)
    for title, keep in _masks(model).items():
        small = prune(model, ChannelMask(keep))
        expected = nets.masked_by_hand(name, model, keep)(images)
        found = small.model(images)
        assert found.shape == expected.shape
        np.testing.assert_allclose(
            found,
            expected,
            rtol=0,
            atol=TOLERANCE * np.abs(expected).max(),
            err_msg=f"{name}: {title}",
        )


@pytest.mark.parametrize("name", nets.NETS)
def test_keeping_all_copies_every_bit(name: str) -> None:
    model = nets.make(name)
    keep = {site: np.ones(n, bool) for site, n in _sites(model).items()}
    pruned = prune(model, ChannelMask(keep))
    if name != "entangled":  # its nested model is opened
        assert [x.name for x in pruned.model.layers] == [
            x.name for x in model.layers
        ]
    old, new = model.get_weights(), pruned.model.get_weights()
    assert all(map(np.array_equal, old, new)) and len(old) == len(new)
    report = pruned.report
    assert report.parameters_after == report.parameters_before
    assert (report.masked, report.silenced, report.removed) == (0, (), ())


@pytest.mark.parametrize("name", nets.NETS)
def test_cuts_class_rows_in_the_order_asked_for(name: str) -> None:
    model = nets.make(name)
    keep = nets.random_keep(_sites(model), 0.6, 5)
    images = nets.images(model)
    small = prune(model, ChannelMask(keep), classes=(3, 0), verify=True).model
    masked = np.array(nets.masked_by_hand(name, model, keep)(images))
    expected = masked[:, [3, 0]]
    if name in ("inline", "residual", "inverted"):  # these end in a softmax
        expected /= expected.sum(1, keepdims=True)
    _assert_close(np.array(small(images)), expected)


def test_class_names_stand_for_rows() -> None:
    model = nets.make("chain")
    mask = ChannelMask(nets.random_keep(_sites(model), 0.6, 5))
    names = ("cat", "dog", "elk", "fox")
    by_name = prune(model, mask, classes=("fox", "cat"), class_names=names)
    by_row = prune(model, mask, classes=(3, 0))
    images = nets.images(model)
    np.testing.assert_array_equal(by_name.model(images), by_row.model(images))


def test_widths_and_weights_of_a_chain_by_hand() -> None:
    model = nets.make("chain")
    keep = {
        "a_relu": np.array([1, 0, 1, 0, 0], bool),
        "b_relu": np.array([0, 1, 1, 1, 0, 0], bool),
        "c_relu": np.array([1, 0, 0, 1], bool),
    }
    pruned = prune(model, ChannelMask(keep))
    small = pruned.model
    np.testing.assert_array_equal(
        small.get_layer("b").kernel.numpy(),
        model.get_layer("b").kernel.numpy()[:, :, [0, 2]][..., [1, 2, 3]],
    )
    np.testing.assert_array_equal(
        small.get_layer("c_norm").moving_mean.numpy(),
        model.get_layer("c_norm").moving_mean.numpy()[[0, 3]],
    )
    # Channel c of place p is row 4 p + c of the Dense layer, 2 p + c' after.
    np.testing.assert_array_equal(
        small.get_layer("fc").kernel.numpy(),
        model.get_layer("fc").kernel.numpy()[[0, 3, 4, 7, 8, 11, 12, 15]],
    )
    # Kernels 3 x 3 x in x out, 4 numbers a norm channel, then the two Denses.
    expected = 9 * (3 * 2 + 2 * 3 + 3 * 2) + 4 * (2 + 3 + 2)
    expected += (8 + 1) * 7 + (7 + 1) * 4
    assert small.count_params() == expected == pruned.report.parameters_after
    assert pruned.report.masked_removed == pruned.report.masked == 8


def test_an_emptied_branch_goes_with_its_layers() -> None:
    model = nets.make("residual")
    keep = {site: np.ones(n, bool) for site, n in _sites(model).items()}
    keep["b_relu"][:] = False
    pruned = prune(model, ChannelMask(keep), verify=True)
    assert pruned.report.removed == (
        "b_pad",
        "b_1",
        "b_1_norm",
        "b_relu",
        "b_2",
        "b_2_norm",
    )
    # What the branch still adds: the constant that its last norm makes of 0.
    norm = model.get_layer("b_2_norm")
    factor = norm.gamma.numpy() / np.sqrt(norm.moving_variance + norm.epsilon)
    np.testing.assert_allclose(
        pruned.model.get_layer("b_add").offset,
        norm.beta.numpy() - norm.moving_mean.numpy() * factor,
        rtol=1e-6,
    )


def test_a_stream_channel_that_no_block_keeps_goes() -> None:
    model = nets.make("residual")
    keep = {site: np.ones(n, bool) for site, n in _sites(model).items()}
    for site in ("stem_relu", "a_out", "b_out"):
        keep[site][2] = False
    pruned = prune(model, ChannelMask(keep), verify=True)
    assert pruned.model.get_layer("stem").filters == 4
    assert pruned.model.get_layer("b_2").filters == 4
    assert pruned.report.kept_against_mask == ()
    assert pruned.report.silenced == ()


def test_a_stream_channel_alive_in_one_block_stays_and_is_silenced() -> None:
    model = nets.make("residual")
    keep = {site: np.ones(n, bool) for site, n in _sites(model).items()}
    keep["stem_relu"][2] = keep["a_out"][2] = False
    report = prune(model, ChannelMask(keep), verify=True).report
    assert [
        (x.site, x.channels, x.reason) for x in report.kept_against_mask
    ] == [
        ("stem_relu", 1, "tied to channels that 'b_out' keeps"),
        ("a_out", 1, "tied to channels that 'b_out' keeps"),
    ]
    assert [(x.site, x.channels, x.how) for x in report.silenced] == [
        ("a_out", 1, "weights of 'stem_norm' and 'a_2_norm'"),
    ]


def test_the_stem_is_silenced_by_its_norm() -> None:
    model = nets.make("residual")
    keep = {site: np.ones(n, bool) for site, n in _sites(model).items()}
    keep["stem_relu"][2] = False
    pruned = prune(model, ChannelMask(keep), verify=True)
    assert [(x.site, x.how) for x in pruned.report.silenced] == [
        ("stem_relu", "weights of 'stem_norm'")
    ]
    norm = pruned.model.get_layer("stem_norm")
    assert norm.gamma.numpy()[2] == norm.beta.numpy()[2] == 0
    assert all(
        not isinstance(x, keras.layers.Rescaling) for x in pruned.model.layers
    )


def test_the_callers_model_is_untouched() -> None:
    model = nets.make("residual")
    model.get_layer("a_1").trainable = False
    images = nets.images(model)
    before = (
        [x.tobytes() for x in model.get_weights()],
        [(x.name, x.trainable) for x in model.layers],
        model.get_config(),
        np.array(model(images)),
    )
    mask = ChannelMask(nets.random_keep(_sites(model), 0.5, 7))
    prune(model, mask, classes=(1, 2), verify=True)
    after = (
        [x.tobytes() for x in model.get_weights()],
        [(x.name, x.trainable) for x in model.layers],
        model.get_config(),
        np.array(model(images)),
    )
    assert before[:3] == after[:3]
    np.testing.assert_array_equal(before[3], after[3])


def test_settings_of_layers_stay() -> None:
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(
        4,
        3,
        activation="relu",
        name="conv",
        kernel_regularizer=keras.regularizers.L2(0.25),
        trainable=False,
        dtype="mixed_bfloat16",
    )(inputs)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(x))
    mask = ChannelMask({"conv": np.array([True, False, True, True])})
    layer = prune(model, mask).model.get_layer("conv")
    assert layer.filters == 3
    assert layer.trainable is False
    assert layer.kernel_regularizer.l2 == 0.25
    assert layer.dtype_policy.name == "mixed_bfloat16"


_LOAD = """
import sys
import keras
import numpy as np
for path in sys.argv[1:]:
    model = keras.models.load_model(path + ".keras", compile=False)
    arrays = np.load(path + ".npz")
    found = np.array(model(arrays["images"]))
    difference = np.abs(found - arrays["outputs"]).max()
    if not difference <= 1e-6 * np.abs(arrays["outputs"]).max():
        sys.exit(f"{path} differs by {difference}")
if any(name.startswith("drnet_tf") for name in sys.modules):
    sys.exit("drnet_tf was imported")
print("loaded", len(sys.argv) - 1)
"""


def test_stock_keras_loads_it(tmp_path: Path) -> None:
    paths = []
    for name in nets.NETS:
        model = nets.make(name)
        keep = nets.random_keep(_sites(model), 0.5, 11)
        small = prune(model, ChannelMask(keep)).model
        path, images = tmp_path / name, nets.images(model)
        small.save(f"{path}.keras")
        np.savez(f"{path}.npz", images=images, outputs=small(images))
        paths.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, *paths],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["loaded", str(len(paths))]


def test_training_goes_on() -> None:
    model = nets.make("residual")
    small = prune(
        model, ChannelMask(nets.random_keep(_sites(model), 0.6, 5))
    ).model
    before = [x.numpy().copy() for x in small.trainable_variables]
    small.compile("sgd", "sparse_categorical_crossentropy")
    small.train_on_batch(nets.images(model), np.array([0, 1, 2]))
    after = [x.numpy() for x in small.trainable_variables]
    changed = [
        not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    ]
    assert sum(changed) > len(changed) / 2


def test_an_unknown_layer_keeps_its_channels() -> None:
    @keras.saving.register_keras_serializable("pruning_test")
    class Reverse(keras.layers.Layer):
        def call(self, x: object) -> object:
            return keras.ops.flip(x, axis=-1)

    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="a")(inputs)
    x = Reverse(name="reverse")(x)
    x = keras.layers.Conv2D(3, 3, activation="relu", name="b")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    mask = ChannelMask(
        {
            "a": np.array([True, False, True, True]),
            "b": np.array([False, True, True]),
        }
    )
    pruned = prune(model, mask, verify=True)
    report = pruned.report
    assert [(x.name, x.kind) for x in report.unknown] == [
        ("reverse", "Reverse")
    ]
    assert [(x.site, x.reason) for x in report.kept_against_mask] == [
        ("a", "there is no rule for Reverse 'reverse'")
    ]
    assert [(x.site, x.how) for x in report.silenced] == [
        ("a", "weights of 'a'")
    ]
    assert pruned.model.get_layer("b").filters == 2
    assert "Reverse" in str(report)


def _chain_and_mask() -> tuple[keras.Model, ChannelMask]:
    model = nets.make("chain")
    return model, ChannelMask(nets.random_keep(_sites(model), 0.5, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"classes": (0, 4)},
            "classes: got row 4, expected a whole number from 0 to 3.",
        ),
        (
            {"classes": (1, 0, 1)},
            "classes: 1 is there twice, expected every class once.",
        ),
        (
            {"classes": ()},
            "classes: got none, expected at least one; pass None to keep all.",
        ),
        (
            {"classes": "ab", "class_names": ("a", "b", "c", "d")},
            "classes: got the text 'ab', expected a sequence of classes, e.g. "
            "('ab',).",
        ),
        (
            {"classes": ("cat",)},
            "classes: got the name 'cat', but no class_names to look it up "
            "in; pass class_names, or row numbers.",
        ),
        (
            {"classes": ("ant",), "class_names": ("cat", "dog", "elk", "fox")},
            "classes: unknown class 'ant', expected one of cat, dog, elk, fox.",
        ),
        (
            {"classes": ("cat",), "class_names": ("cat", "dog")},
            "class_names: got 2 names, expected 4, one for each row of the "
            "classifier.",
        ),
    ],
)
def test_refuses_wrong_classes(arguments: dict, message: str) -> None:
    model, mask = _chain_and_mask()
    with pytest.raises(ValueError) as caught:
        prune(model, mask, **arguments)
    assert str(caught.value) == message


def test_refuses_a_mask_of_another_model() -> None:
    model, mask = _chain_and_mask()
    other = ChannelMask(mask.keep, provenance={"fingerprint": "0" * 64})
    with pytest.raises(ValueError, match="^mask: it was made for a model with"):
        prune(model, other)
    with pytest.raises(ValueError, match="a_relu"):
        prune(model, ChannelMask({"a_relu": np.ones(3, bool)}))


def test_refuses_what_is_no_mask() -> None:
    model, mask = _chain_and_mask()
    with pytest.raises(TypeError, match="^mask: got a dict, expected a Chan"):
        prune(model, mask.keep)


def test_refuses_a_model_without_sites() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no convolution"):
        prune(model, ChannelMask({"a": np.ones(2, bool)}))
