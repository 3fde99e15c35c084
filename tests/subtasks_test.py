from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from drnet_tf.costs import count_costs, count_masked_costs
from drnet_tf.evaluation import evaluate
from drnet_tf.finetuning import finetune
from drnet_tf.fingerprints import fingerprint
from drnet_tf.gates import apply_mask
from drnet_tf.importance import ChannelImportance
from drnet_tf.masks import union, xor
from drnet_tf.nested_masks import candidate_thresholds
from drnet_tf.sites import gate_sites
from drnet_tf.subtasks import DRNet

_NAMES = ("cat", "cow", "dog", "pig")


def _network(seed=0, outputs=4):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(12, 3, name="conv1"),
            layers.BatchNormalization(name="norm1"),
            layers.ReLU(name="relu1"),
            layers.Conv2D(16, 3, activation="relu", name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(outputs, name="scores"),
        ],
        name="net",
    )


def _importance(model):
    generator = np.random.default_rng(0)
    return ChannelImportance(
        {
            "relu1": np.maximum(generator.normal(size=(4, 12)), 0),
            "conv2": np.maximum(generator.normal(size=(4, 16)), 0),
        },
        _NAMES,
        "by hand",
        fingerprint=fingerprint(model),
    )


@pytest.fixture(scope="module")
def model():
    return _network()


@pytest.fixture(scope="module")
def importance(model):
    return _importance(model)


@pytest.fixture
def drnet(model, importance):
    return DRNet(model, importance)


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(4)
    images = generator.normal(size=(60, 8, 8, 3)).astype("float32")
    return images, generator.integers(0, 4, 60)


def test_threshold_gives_the_network_of_the_union(
    drnet, model, importance, data
):
    subtask = drnet.subtask(("pig", "cat"), threshold=0.6)
    mask = union(importance, ("pig", "cat"), 0.6)
    assert subtask.mask.same_channels(mask)
    assert subtask.classes == ("pig", "cat")
    small = subtask.model.predict(data[0], verbose=0)
    full = apply_mask(model, mask).predict(data[0], verbose=0)[:, [3, 0]]
    np.testing.assert_allclose(small, full, atol=1e-5 * np.abs(full).max())
    assert subtask.criterion == {"threshold": 0.6}
    assert subtask.report is not None


def test_running_counts_are_those_of_a_chain_that_was_cut(drnet, model):
    subtask = drnet.subtask(("pig", "cat"), threshold=0.6)
    small = count_costs(subtask.model)
    assert subtask.costs.parameters == small.learnable_parameters
    assert subtask.costs.macs == small.macs
    assert subtask.costs == count_masked_costs(model, subtask.mask, 2)


def test_rule_and_rounding_are_passed_on(drnet, importance):
    subtask = drnet.subtask(
        ("pig", "cat"), threshold=0.6, rule="xor", round_to=4
    )
    expected = xor(importance, ("pig", "cat"), 0.6, round_to=4)
    assert subtask.mask.same_channels(expected)
    assert subtask.mask.provenance == expected.provenance


@pytest.mark.parametrize("criterion", ["max_parameters", "max_macs"])
@pytest.mark.parametrize("limit", [0.2, 0.5, 1.0, 700, 20_000])
def test_budgets_take_the_lowest_threshold_within(
    drnet, model, importance, criterion, limit
):
    of = criterion.removeprefix("max_")
    full = getattr(drnet.subtask(_NAMES, threshold=0.1).costs, f"{of}_full")
    allowed = limit if isinstance(limit, int) else limit * full
    thresholds = candidate_thresholds(importance, ("dog", "cow"))
    within = [
        float(t)
        for t in thresholds
        if getattr(
            count_masked_costs(
                model, union(importance, ("dog", "cow"), float(t)), 2
            ),
            of,
        )
        <= allowed
    ]
    if not within:
        with pytest.raises(ValueError, match="pass a higher limit"):
            drnet.subtask(("dog", "cow"), **{criterion: limit})
        return
    subtask = drnet.subtask(("dog", "cow"), **{criterion: limit})
    assert subtask.mask.provenance["threshold"] == within[0]
    assert getattr(subtask.costs, of) <= allowed


def test_drop_is_measured_on_the_validation_data(drnet, model, data):
    subtask = drnet.subtask(("dog", "cow"), max_drop=10.0, validation_data=data)
    full = evaluate(model, data, ("dog", "cow"), _NAMES)
    small = subtask.evaluate(data)
    assert subtask.criterion == {
        "max_drop": 10.0,
        "full_accuracy": full.accuracy,
        "accuracy": small.accuracy,
    }
    assert small.accuracy >= full.accuracy - 0.1
    assert subtask.mask.kept < subtask.mask.total


def test_sub_network_of_all_classes_in_another_order(drnet, model, data):
    classes = ("pig", "cat", "dog", "cow")
    subtask = drnet.subtask(classes, max_drop=30.0, validation_data=data)
    full = evaluate(model, data, _NAMES, _NAMES)
    assert subtask.criterion["full_accuracy"] == full.accuracy
    assert subtask.evaluate(data).accuracy == subtask.criterion["accuracy"]


def test_same_arguments_give_the_same_object(drnet, data):
    first = drnet.subtask(("pig", "cat"), max_parameters=0.5)
    assert drnet.subtask(["pig", "cat"], max_parameters=0.5) is first
    assert first.model is first.model
    others = [
        drnet.subtask(("cat", "pig"), max_parameters=0.5),
        drnet.subtask(("pig", "cat"), max_parameters=0.4),
        drnet.subtask(("pig", "cat"), max_macs=0.5),
        drnet.subtask(("pig", "cat"), max_parameters=0.5, round_to=2),
        drnet.subtask(("pig", "cat"), max_parameters=0.5, rule="xor"),
    ]
    assert all(other is not first for other in others)
    drop = {"max_drop": 50.0, "validation_data": data}
    measured = drnet.subtask(("pig", "cat"), **drop)
    assert drnet.subtask(("pig", "cat"), **drop) is measured
    other_data = (data[0][:30], data[1][:30])
    again = drnet.subtask(
        ("pig", "cat"), max_drop=50.0, validation_data=other_data
    )
    assert again is not measured


def test_one_is_a_count_and_one_point_zero_a_fraction(drnet):
    whole = drnet.subtask(("pig", "cat"), max_parameters=1.0)
    assert whole.mask.kept > 10
    with pytest.raises(ValueError, match="the limit is 1, the smallest"):
        drnet.subtask(("pig", "cat"), max_parameters=1)


def test_the_model_is_not_changed(drnet, model, data):
    before = fingerprint(model)
    drnet.subtask(("pig", "cat"), threshold=0.6).evaluate(data)
    assert fingerprint(model) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {},
            "got no criterion, expected exactly one of threshold, max_para",
        ),
        (
            {"threshold": 0.1, "max_macs": 0.5},
            "got threshold, max_macs, expected exactly one of threshold",
        ),
        ({"max_drop": 1.0}, "got max_drop without validation_data, expected"),
        (
            {"threshold": 0.1, "validation_data": ()},
            "got threshold with validation_data, expected it with max_drop",
        ),
        ({"max_macs": 1.5}, r"max_macs: got 1.5, expected a whole number"),
        ({"max_macs": 0}, "max_macs: got 0, expected a whole number above 0"),
        ({"max_parameters": 0.0}, r"max_parameters: got 0.0, .* in \(0, 1\]"),
        ({"max_parameters": True}, "max_parameters: got True"),
        ({"threshold": 0}, "threshold: got 0, expected a finite number above"),
        ({"threshold": 99}, "keeps no channel at any site"),
        ({"threshold": 0.1, "rule": "and"}, "rule: got 'and', expected one of"),
        ({"threshold": "0.5"}, "threshold: got '0.5', expected a finite"),
        ({"threshold": 0.1, "round_to": 0}, "round_to: got 0"),
        ({"threshold": 0.1, "round_to": 1.5}, "round_to: got 1.5, expected a"),
        (
            {"threshold": 0.1, "round_to": None},
            "round_to: got None, expected a",
        ),
        ({"threshold": 0.1, "round_to": np.nan}, "round_to: got nan, expected"),
        ({"max_bytes": -1}, "max_bytes: got -1, .* of the full network's\\."),
        (
            {"max_milliseconds": np.nan},
            "max_milliseconds: got nan, expected mi",
        ),
        ({"max_milliseconds": "x"}, "max_milliseconds: got 'x', expected mill"),
        ({"max_milliseconds": 0}, "max_milliseconds: got 0, expected millisec"),
        (
            {"max_drop": "1", "validation_data": ((), ())},
            "max_drop: got '1', expected percentage points",
        ),
    ],
)
def test_bad_criteria(drnet, arguments, message):
    with pytest.raises(ValueError, match=message):
        drnet.subtask(("pig", "cat"), **arguments)


def test_bad_settings_are_found_before_the_long_work(drnet):
    class Unreadable:
        def __iter__(self):
            raise AssertionError("was read")

    for settings, message in (
        ({"max_drop": -1.0}, "max_drop: got -1.0, expected percentage points"),
        ({"max_drop": 1.0, "round_to": 0}, "round_to: got 0"),
        ({"max_drop": 1.0, "rule": "or"}, "rule: got 'or'"),
    ):
        with pytest.raises(ValueError, match=message):
            drnet.subtask(
                ("pig", "cat"), validation_data=Unreadable(), **settings
            )


def test_bad_classes(drnet):
    with pytest.raises(ValueError, match="unknown class 'fox'; known: cat, c"):
        drnet.subtask(("fox",), threshold=0.1)
    with pytest.raises(ValueError, match="'xor': got 3 classes"):
        drnet.subtask(("cat", "dog", "pig"), threshold=0.1, rule="xor")


def test_foreign_importances(model, importance):
    with pytest.raises(ValueError, match="'net': its weights or structure are"):
        DRNet(_network(seed=1), importance)
    changed = {"fingerprint": "", "class_names": _NAMES, "method": "x"}
    scores = dict(importance.scores)
    DRNet(model, ChannelImportance(scores, **changed))  # nothing to compare
    scores["relu1"] = scores["relu1"][:, :5]
    with pytest.raises(ValueError, match="site 'relu1': the importance has 5"):
        DRNet(model, ChannelImportance(scores, **changed))
    with pytest.raises(ValueError, match="'net' has 3 classes, the importance"):
        DRNet(
            _network(outputs=3),
            ChannelImportance(importance.scores, **changed),
        )


def test_repr_names_the_sub_tasks_made(drnet):
    assert repr(drnet) == (
        "DRNet('net': 4 classes, 28 channels at 2 sites, 0 sub-tasks made)"
    )
    drnet.subtask(("pig", "cat"), threshold=0.6)
    assert "1 sub-task made" in repr(drnet)


def test_a_repaired_sub_network_is_nearer_to_the_full_one(drnet, model, data):
    classes = ("pig", "cat")
    images = data[0][:40]
    hard = drnet.subtask(classes, threshold=0.6)
    repaired = drnet.subtask(
        classes, threshold=0.6, repair="least_squares", images=images
    )
    assert repaired.mask.same_channels(hard.mask)
    full = model.predict(data[0][40:], verbose=0)[:, [3, 0]]
    errors = [
        np.square(x.model.predict(data[0][40:], verbose=0) - full).mean()
        for x in (hard, repaired)
    ]
    assert errors[1] < errors[0]
    assert hard.repair_report is None and hard.as_dict()["repair"] is None
    assert repaired.as_dict()["repair"]["method"] == "least_squares"
    assert "repaired     by least_squares with 40 images" in repaired.summary()
    again = drnet.subtask(
        classes, threshold=0.6, repair="least_squares", images=images
    )
    assert again is repaired is not hard


def test_images_of_the_dissection_serve_for_the_repair(model, importance, data):
    kept = dataclasses.replace(
        importance, images=data[0][:16].reshape(4, 4, 8, 8, 3)
    )
    subtask = DRNet(model, kept).subtask(
        ("cow", "cat"), threshold=0.6, repair="norms"
    )
    assert subtask.repair_report.images == 8
    assert subtask.repair_report.norms == ("norm1",)


def test_networks_are_repaired_while_a_drop_is_searched(drnet, data):
    settings = {"max_drop": 10.0, "validation_data": data}
    hard = drnet.subtask(("pig", "cat"), **settings)
    repaired = drnet.subtask(
        ("pig", "cat"), **settings, repair="least_squares", images=data[0]
    )
    assert repaired.mask.kept <= hard.mask.kept
    assert repaired.evaluate(data).accuracy == repaired.criterion["accuracy"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"repair": "magic"}, "unknown method 'magic'"),
        ({"repair": "norms"}, "got none for the repair"),
        ({"images": np.zeros((2, 8, 8, 3))}, "got some, but neither a repair"),
        (
            {"allocation": "layers"},
            "a threshold, expected one of max_parameters",
        ),
        ({"allocation": "magic"}, "allocation: got 'magic'"),
    ],
)
def test_repairs_that_cannot_be_are_refused(drnet, settings, words):
    with pytest.raises(ValueError, match=words):
        drnet.subtask(("pig", "cat"), threshold=0.6, **settings)


def test_images_of_another_scale_are_refused(model, importance, data):
    known = dataclasses.replace(
        importance, diagnostics={"pixels": {"mean": 0.0, "std": 1.0}}
    )
    drnet = DRNet(model, known)
    settings = {"threshold": 0.6, "repair": "least_squares"}
    drnet.subtask(("pig", "cat"), **settings, images=data[0])
    for scaled in (data[0] * 60, data[0] + 100):
        with pytest.raises(ValueError, match="preprocess them in the same way"):
            drnet.subtask(("pig", "cat"), **settings, images=scaled)


def test_channels_are_allocated_to_layers(drnet, model, importance, data):
    settings = {"max_parameters": 0.4, "images": data[0]}
    subtask = drnet.subtask(
        ("pig", "cat"), **settings, allocation="layers", round_to=2
    )
    full = count_costs(model).parameters
    assert count_costs(subtask.model).parameters <= 0.4 * full
    assert all(x % 2 == 0 for x in subtask.mask.widths.values())
    for site, keep in subtask.mask.keep.items():
        scores = importance.scores[site][[3, 0]].max(0)
        if not keep.all():
            assert scores[keep].min() >= scores[~keep].max()
    assert "channels allocated to layers" in subtask.summary()
    with pytest.raises(ValueError, match="got none for the allocation"):
        drnet.subtask(("pig", "cat"), max_macs=0.5, allocation="layers")


def test_channels_are_chosen_by_reconstruction(drnet, model, data):
    settings = {"max_parameters": 0.4, "images": data[0]}
    subtask = drnet.subtask(
        ("pig", "cat"), **settings, allocation="reconstruction", rule="xor"
    )
    full = count_costs(model).parameters
    assert count_costs(subtask.model).parameters <= 0.4 * full
    assert subtask.mask.provenance["method"] == "reconstruction"
    by_layers = drnet.subtask(("pig", "cat"), **settings, allocation="layers")
    assert subtask.mask.keep.keys() == by_layers.mask.keep.keys()
    assert "channels chosen by reconstruction" in subtask.summary()
    with pytest.raises(ValueError, match="allocation by reconstruction"):
        drnet.subtask(("pig", "cat"), max_macs=0.5, allocation="reconstruction")


def test_a_drop_is_searched_over_allocations(drnet, data):
    settings = {"max_drop": 10.0, "validation_data": data, "images": data[0]}
    subtask = drnet.subtask(
        ("pig", "cat"),
        **settings,
        allocation="layers",
        repair="least_squares",
    )
    assert subtask.evaluate(data).accuracy == subtask.criterion["accuracy"]


def test_the_file_may_have_so_many_bytes(drnet, tmp_path):
    full = drnet.subtask(("pig", "cat"), max_bytes=1.0)
    limit = full.criterion["bytes"] - 500
    subtask = drnet.subtask(("pig", "cat"), max_bytes=int(limit))
    report = subtask.to_tflite(tmp_path / "small.tflite")
    assert report.bytes == subtask.criterion["bytes"] <= limit
    assert 0 < subtask.mask.kept < full.mask.kept
    with pytest.raises(ValueError, match="the limit is 10, the smallest"):
        drnet.subtask(("pig", "cat"), max_bytes=10)


def test_an_image_may_take_so_long(drnet):
    subtask = drnet.subtask(("pig", "cat"), max_milliseconds=1e4)
    assert 0 < subtask.criterion["milliseconds"] < 1e4
    with pytest.raises(ValueError, match="the limit is 1e-06, the smallest"):
        drnet.subtask(("pig", "cat"), max_milliseconds=1e-6)


def test_a_sub_network_can_be_fine_tuned(drnet, model, data):
    subtask = drnet.subtask(("pig", "cat"), threshold=0.6)
    tuned = finetune(subtask.pruned, model, data[0], progress=False)
    assert tuned.model.output_shape == (None, 2)
    assert subtask.pruned.model is subtask.model


def test_a_share_is_one_of_the_learnable_parameters():
    """Moving statistics are half of a thin norm: they are not learned."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 1, name="conv")(x)
    for _ in range(4):
        x = layers.DepthwiseConv2D(1, use_bias=False)(x)
        x = layers.BatchNormalization()(x)
    x = layers.ReLU(name="relu")(x)
    scores = layers.Dense(4)(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(inputs, scores)
    widths = {x.name: x.channels for x in gate_sites(network)}
    generator = np.random.default_rng(0)
    scores = {x: generator.random((4, width)) for x, width in widths.items()}
    drnet = DRNet(network, ChannelImportance(scores, _NAMES, "by hand"))
    full = count_costs(network).learnable_parameters
    for share in (0.75, 0.4):
        subtask = drnet.subtask(_NAMES, max_parameters=share)
        costs = count_masked_costs(network, subtask.mask, 4)
        assert costs.parameters <= share * full == share * costs.parameters_full


def test_values_may_be_numpys(drnet):
    subtask = drnet.subtask(("pig", "cat"), threshold=np.array(0.5))
    assert subtask is drnet.subtask(("pig", "cat"), threshold=0.5)
    subtask = drnet.subtask(("pig", "cat"), threshold=0.5, round_to=2.0)
    assert subtask is drnet.subtask(
        ("pig", "cat"), threshold=0.5, round_to=np.array(2)
    )
    subtask = drnet.subtask(("pig", "cat"), max_macs=np.array(0.5))
    assert subtask is drnet.subtask(("pig", "cat"), max_macs=0.5)


def test_one_class_gives_nothing_to_choose_by(drnet, data):
    with pytest.raises(
        ValueError, match="one class, whose softmax is 1 .*'lea"
    ):
        _ = drnet.subtask(
            ("cat",), max_macs=0.5, repair="best", images=data[0]
        ).model
