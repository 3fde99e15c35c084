"""What an update sees, and which images are refused."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.labeled_images import LabeledImages
from drnet_tf.training import Training
from drnet_tf.training.batches import (
    checked_arrays,
    epoch_order,
    training_batch,
)

SHAPE = (8, 8, 1)


def _data(count=10):
    images = np.arange(count * 64).reshape(count, *SHAPE).astype("float32")
    return images, np.arange(count) % 3


def test_every_image_once_an_epoch_in_orders_of_its_own():
    orders = [
        epoch_order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)
    ]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 4
    np.testing.assert_array_equal(epoch_order(1, 1, 50), orders[-1])


def test_batches_follow_the_order_and_the_last_may_be_short():
    images, labels = _data()
    order = epoch_order(0, 0, 10)
    settings = Training(batch_size=4, padding=0, flip=False)
    parts = [
        training_batch(images, labels, order, settings, 0, step)
        for step in range(settings.updates(10))
    ]
    assert [len(y) for _, y in parts] == [4, 4, 2]
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in parts]), images[order]
    )
    np.testing.assert_array_equal(
        np.concatenate([y for _, y in parts]), labels[order]
    )


def test_augmentation_is_a_function_of_seed_epoch_and_step():
    images = np.repeat(_data(1)[0], 40, 0)
    labels = np.zeros(40, int)

    def seen(seed, epoch, step):
        settings = Training(batch_size=20, seed=seed)
        order = np.arange(40)
        x, _ = training_batch(images, labels, order, settings, epoch, step)
        assert (x.shape, x.dtype) == ((20, 8, 8, 1), np.float32)
        return x.tobytes()

    places = [(s, e, t) for s in (0, 1) for e in (0, 1) for t in (0, 1)]
    assert len({seen(*place) for place in places}) == 8
    assert seen(1, 1, 1) == seen(1, 1, 1)


def test_what_holds_images_and_labels_will_do():
    images, labels = _data()
    held = LabeledImages(images, labels, ("a", "b", "c"))
    for dataset in ((images, labels[:, None]), held):
        x, y = checked_arrays(dataset, (8, None, 1), 3)
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(y, labels)


def test_images_and_labels_that_do_not_suit_are_refused():
    images, labels = _data()
    spoilt = images.copy()
    spoilt[7, 0, 0, 0] = np.nan
    for dataset, kind, words in (
        ((spoilt, labels), ValueError, "image 7 holds NaN or infinite"),
        ((images, labels + 1), ValueError, "label 3 of image 2 is out of"),
        ((images, labels[:9]), ValueError, "have shape (9,) for 10 images"),
        ((images, labels / 2), TypeError, "are float64, expected whole"),
        ((images[:0], labels[:0]), ValueError, "expected (N, ...) with one"),
        ((images[:, 1:], labels), ValueError, "the network reads (8, 8, 1)"),
        (images, TypeError, "got a ndarray as dataset, expected a tuple"),
    ):
        with pytest.raises(kind) as refused:
            checked_arrays(dataset, SHAPE, 3)
        assert words in str(refused.value)
