from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from drnet_tf import evaluation
from drnet_tf.evaluation import evaluate, subtask_accuracy
from drnet_tf.labeled_images import LabeledImages

_NAMES = ("cat", "cow", "dog", "pig")


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return generator.normal(size=(50, 4, 4, 3)).astype("float32")


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(1).integers(0, 4, 50)


def _network(outputs, softmax=False):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(5, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                outputs, activation="softmax" if softmax else None
            ),
        ],
        name="net",
    )
    return model


@pytest.fixture(scope="module")
def model():
    return _network(4)


def _by_hand(logits, labels, rows):
    """Confusion and mean cross-entropy, image by image."""
    confusion = np.zeros((len(rows), len(rows)), int)
    losses = []
    for z, label in zip(logits.astype(np.float64), labels, strict=True):
        if label not in rows:
            continue
        own = z[rows]
        true = rows.index(label)
        confusion[true, int(own.argmax())] += 1
        losses.append(math.log(np.exp(own).sum()) - own[true])
    return confusion, np.mean(losses)


@pytest.mark.parametrize("batch_size", [7, 256])
def test_full_network_against_numpy(model, images, labels, batch_size):
    result = evaluate(
        model, (images, labels), ("dog", "cat"), _NAMES, batch_size=batch_size
    )
    logits = model.predict(images, verbose=0)
    confusion, loss = _by_hand(logits, labels, [2, 0])
    np.testing.assert_array_equal(result.confusion, confusion)
    assert result.count == confusion.sum() == np.isin(labels, [0, 2]).sum()
    assert result.accuracy == np.trace(confusion) / confusion.sum()
    assert result.accuracy == subtask_accuracy(logits, labels, [2, 0])
    assert result.per_class == {
        "dog": confusion[0, 0] / confusion[0].sum(),
        "cat": confusion[1, 1] / confusion[1].sum(),
    }
    assert result.cross_entropy == pytest.approx(loss, rel=1e-5)
    assert 0 < result.accuracy < 1  # the case can tell right from wrong


def test_softmax_and_logits_are_judged_alike(model, images, labels):
    softmax = _network(4, softmax=True)
    softmax.set_weights(model.get_weights())
    a = evaluate(model, (images, labels), ("cow", "pig"), _NAMES)
    b = evaluate(softmax, (images, labels), ("cow", "pig"), _NAMES)
    np.testing.assert_array_equal(a.confusion, b.confusion)
    assert a.cross_entropy == pytest.approx(b.cross_entropy, rel=1e-5)


@pytest.mark.parametrize("softmax", [False, True])
def test_cut_network_equals_the_full_one(model, images, labels, softmax):
    classes, rows = ("pig", "cat", "dog"), [3, 0, 2]
    cut = _network(3, softmax)
    *body, kernel, bias = model.get_weights()
    cut.set_weights([*body, kernel[:, rows], bias[rows]])
    full = evaluate(model, (images, labels), classes, _NAMES)
    small = evaluate(cut, (images, labels), classes, _NAMES)
    np.testing.assert_array_equal(full.confusion, small.confusion)
    assert full.cross_entropy == pytest.approx(small.cross_entropy, rel=1e-5)


def test_one_class_is_always_right(images, labels):
    result = evaluate(_network(1), (images, labels), ("cow",), _NAMES)
    assert (result.accuracy, result.cross_entropy) == (1.0, 0.0)
    assert result.count == (labels == 1).sum()


def test_every_kind_of_dataset_gives_the_same(model, images, labels):
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    results = [
        evaluate(model, dataset, ("cat", "pig"), _NAMES).as_dict()
        for dataset in (
            (images, labels),
            LabeledImages(images, labels, _NAMES),
            data,
            data.batch(9),
        )
    ]
    for result in results[1:]:
        assert result["confusion"] == results[0]["confusion"]
        assert result["cross_entropy"] == pytest.approx(
            results[0]["cross_entropy"], rel=1e-6
        )


def test_order_of_the_outputs_must_be_clear(model, images, labels):
    classes = ("pig", "dog", "cow", "cat")
    with pytest.raises(
        ValueError, match="its 4 outputs can stand for class_na"
    ):
        evaluate(model, (images, labels), classes, _NAMES)
    full = evaluate(
        model, (images, labels), classes, _NAMES, output_classes=_NAMES
    )
    plain = evaluate(model, (images, labels), _NAMES, _NAMES)
    assert full.accuracy == plain.accuracy
    cut = evaluate(
        model, (images, labels), classes, _NAMES, output_classes=classes
    )
    assert cut.accuracy != plain.accuracy


def test_class_without_images(model, images, labels):
    some = labels != 1
    result = evaluate(
        model, (images[some], labels[some]), ("cat", "cow"), _NAMES
    )
    assert math.isnan(result.per_class["cow"])
    assert result.accuracy == result.per_class["cat"]


def test_text_and_dict(model, images, labels):
    result = evaluate(model, (images, labels), ("cat", "pig"), _NAMES)
    assert f"of {result.count} images right (cat " in str(result)
    assert json.loads(json.dumps(result.as_dict()))["count"] == result.count


def test_model_is_not_changed(model, images, labels):
    before = [w.copy() for w in model.get_weights()]
    evaluate(model, (images, labels), ("cat", "pig"), _NAMES)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_integer_images(model, labels):
    raw = np.random.default_rng(5).integers(0, 255, (50, 4, 4, 3), np.uint8)
    a = evaluate(model, (raw, labels), ("cat", "pig"), _NAMES)
    b = evaluate(model, (raw.astype("float32"), labels), ("cat", "pig"), _NAMES)
    np.testing.assert_array_equal(a.confusion, b.confusion)


def test_progress_only_when_it_takes_long(
    model, images, labels, monkeypatch, capsys
):
    evaluate(model, (images, labels), ("cat", "pig"), _NAMES)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(evaluation, "_QUIET_SECONDS", 0.0)
    evaluate(model, (images, labels), ("cat", "pig"), _NAMES, progress=False)
    assert capsys.readouterr().out == ""
    evaluate(model, (images, labels), ("cat", "pig"), _NAMES)
    assert "/50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("cat", "fox"), "unknown class 'fox'; known: cat, cow, dog, pig"),
        ((), "expected at least one"),
    ],
)
def test_bad_classes(model, images, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        evaluate(model, (images, labels), classes, _NAMES)


def test_wrong_number_of_outputs(images, labels):
    with pytest.raises(
        ValueError,
        match=r"'net' has 3 outputs, expected one per name of class_names "
        r"\(4\), of classes \(2\) or of output_classes, if given; pass",
    ):
        evaluate(_network(3), (images, labels), ("cat", "pig"), _NAMES)
    with pytest.raises(ValueError, match="has 3 outputs, expected one per"):
        evaluate(
            _network(3),
            (images, labels),
            ("cat", "pig"),
            _NAMES,
            output_classes=("cat", "pig"),
        )


def test_no_image_of_the_subtask(model, images):
    with pytest.raises(
        ValueError, match=r"Sub-task \('cat', 'pig'\): the dataset has no image"
    ):
        evaluate(model, (images, np.ones(50, int)), ("cat", "pig"), _NAMES)


def test_bad_images_and_labels(model, images, labels):
    broken = images.copy()
    broken[17, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="image 17"):
        evaluate(model, (broken, labels), ("cat", "pig"), _NAMES)
    wrong = labels.copy()
    wrong[23] = 4
    with pytest.raises(ValueError, match="23"):
        evaluate(model, (images, wrong), ("cat", "pig"), _NAMES)
    with pytest.raises(
        ValueError, match=r"got images of shape \(3, 4, 3\), expected \(4, 4, 3"
    ):
        evaluate(model, (images[:, :3], labels), ("cat", "pig"), _NAMES)


def test_labels_of_another_numbering(model, images, labels):
    data = LabeledImages(images, labels, _NAMES[::-1])
    with pytest.raises(ValueError, match=r"numbered in \('pig', 'dog', "):
        evaluate(model, data, ("cat", "pig"), _NAMES)


def test_network_that_gives_nan(images, labels):
    broken = _network(4)
    broken.layers[-1].bias.assign([0.0, np.nan, 0.0, 0.0])
    first = int(np.flatnonzero(np.isin(labels, [0, 1]))[0])
    with pytest.raises(
        ValueError, match=f"for image {first} of the dataset is"
    ):
        evaluate(broken, (images, labels), ("cat", "cow"), _NAMES)


def test_subtask_accuracy_by_hand():
    logits = np.array([[3, 9, 2], [1, 9, 2], [5, 9, 5], [0, 9, 0]], float)
    labels = np.array([0, 0, 2, 1])
    assert subtask_accuracy(logits, labels, [0, 2]) == pytest.approx(1 / 3)
    # A tie goes to the class that comes first in the sub-task.
    assert subtask_accuracy(logits, labels, [2, 0]) == pytest.approx(2 / 3)
    assert subtask_accuracy(logits, labels, [0, 1, 2]) == 0.25
    with pytest.raises(
        ValueError, match=r"outputs \[1\]: none of the 2 labels"
    ):
        subtask_accuracy(logits[:2], labels[:2], [1])
