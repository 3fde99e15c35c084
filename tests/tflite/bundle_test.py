"""Tests of drnet_tflite.bundles, on bundles made by hand."""

from __future__ import annotations

import dataclasses
import io
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.bundles.decoding import decode_plan, read_plan
from drnet_tflite.bundles.encoding import encode_footer, encode_plan
from drnet_tflite.bundles.errors import BundleError
from drnet_tflite.bundles.plan import FIXED, FLOAT16, FOOTER_BYTES, Segment

from tests.tflite.made_bundles import made_bundle, made_plan


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "pets.tflite"
    path.write_bytes(made_bundle(provenance={"sites": SITES}))
    return Bundle(path)


SITES = {"relu": [[0, 0], [0, 1], [0, 2], [0, 3]], "add": [[1, 1], None]}


def kept(bundle, classes=("cat", "dog"), round_to=1, **request):
    selection = bundle.select(classes, round_to=round_to, **request)
    return [x.tolist() for x in selection.kept]


# Reading.


def test_what_was_written_is_read(bundle):
    plan, made = bundle.plan, made_plan()
    assert plan.class_names == ("cat", "dog", "eel")
    assert plan.class_outputs == (2, 0, 1)
    assert plan.axes == made.axes and plan.vectors == made.vectors
    assert plan.patches.tolist() == made.patches.tolist()
    assert [x.tolist() for x in plan.scores] == [
        x.tolist() for x in made.scores
    ]
    for fold, expected in zip(plan.folds, made.folds, strict=True):
        assert (fold.biases, fold.weights) == (
            expected.biases,
            expected.weights,
        )
        assert fold.constants.tolist() == expected.constants.tolist()
        assert fold.constants.dtype == expected.constants.dtype
    bundle.verify()


def test_tools_find_the_labels_of_all_outputs(bundle):
    with zipfile.ZipFile(bundle.path) as archive:
        assert archive.read("labels.txt") == b"dog\neel\ncat\n"
        assert archive.testzip() is None


def test_sites_are_masked_as_their_channels_are(bundle):
    selection = bundle.select(["cat"], threshold=2.0, round_to=1)
    assert kept(bundle, ["cat"], threshold=2.0) == [[0, 2], [0]]
    masks = bundle.mask(selection)
    assert masks["relu"].tolist() == [True, False, True, False]
    assert masks["add"].tolist() == [False, True]  # None: always stays


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda x: b"", "cannot be read"),
        (lambda x: x[:-1], "does not end as a bundle"),
        (lambda x: x[: len(x) // 2], "does not end as a bundle"),
        (lambda x: x[:8] + b"!" + x[9:], "skeleton is damaged"),
        (lambda x: x[:-30] + b"!" + x[-29:], None),  # the archive's own list
        (lambda x: x.replace(b"eel", b"gnu"), "plan is damaged"),
        (lambda x: x[:-16] + b"\2\0\0\0" + x[-12:], "version 2"),
        (lambda x: x[:-12] + b"\xff" * 4 + x[-8:], "outside of the file"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage, message):
    path = tmp_path / "pets.tflite"
    path.write_bytes(damage(made_bundle()))
    if message is None:
        Bundle(path)
        return
    with pytest.raises(BundleError, match=message) as error:
        Bundle(path)
    assert str(path) in str(error.value)


def test_damaged_weights_are_found_by_verify(tmp_path):
    path = tmp_path / "pets.tflite"
    content = bytearray(made_bundle())
    content[90] ^= 1
    path.write_bytes(content)
    bundle = Bundle(path)
    with pytest.raises(BundleError, match="weights are damaged"):
        bundle.verify()


def with_vector(number, **changes):
    vectors = list(made_plan().vectors)
    vectors[number] = dataclasses.replace(vectors[number], **changes)
    return made_plan(vectors=tuple(vectors))


def with_axis(number, *segments):
    axes = list(made_plan().axes)
    axes[number] = segments
    return made_plan(axes=tuple(axes))


@pytest.mark.parametrize(
    ("plan", "broken"),
    [
        (made_plan(skeleton_bytes=500), "parts of the file overlap"),
        (made_plan(vectors_end=10_000), "parts of the file overlap"),
        (made_plan(encoding=7), "unknown encoding"),
        (made_plan(outputs=0), "no groups, classes or outputs"),
        (
            made_plan(scores=[], steps=np.zeros(0)),
            "no groups, classes or outputs",
        ),
        (made_plan(steps=np.array([-1, 1])), "a step below 0"),
        (made_plan(steps=np.array([np.nan, 1])), "a step below 0"),
        (made_plan(steps=np.array([1, 2e36])), "too great"),
        (made_plan(class_names=("cat", "cat", "eel")), "a class name twice"),
        (made_plan(class_names=("cat", "dog\n", "eel")), "is not a line"),
        (made_plan(class_outputs=(0, 0, 1)), "a class of no output"),
        (made_plan(class_outputs=(0, 3, 1)), "a class of no output"),
        (with_axis(0, Segment(9, 0, 4)), "unknown group"),
        (with_axis(0, Segment(0, 1, 4)), "past its group"),
        (with_axis(0, Segment(0, 0, 0)), "empty segment"),
        (with_axis(2, Segment(FIXED, 1, 2)), "fixed segment that starts late"),
        (with_axis(4, Segment(2, 0, 2)), "a part of the outputs"),
        (with_axis(4), "without segments"),
        (made_plan(patches=np.array([[62, 1, 0]])), "number to patch"),
        (made_plan(patches=np.array([[41, 1, 0]])), "number to patch"),
        (made_plan(patches=np.array([[40, 1, 5]])), "number to patch"),
        (made_plan(patches=np.array([[40, 1 << 30, 0]])), "too great"),
        (with_vector(0, element_bytes=3), "unknown form"),
        (with_vector(0, axes=()), "unknown form"),
        (with_vector(0, axes=(0,) * 6), "unknown form"),
        (with_vector(0, axes=(9,)), "unknown axis"),
        (with_vector(0, field=64), "hangs nowhere"),
        (with_vector(0, field=18), "hangs nowhere"),
        (with_vector(0, field=20), "two vectors in one place"),
        (with_vector(0, data=64), "overlap"),
        (with_vector(1, data=128), "overlap"),
        (with_vector(4, data=240), "past the end"),
        (with_vector(0, element_bytes=8), "overlap"),
        (with_vector(0, axes=(0, 2, 0)), "overlap"),
    ],
)
def test_plans_that_break_a_rule_are_refused(plan, broken):
    with pytest.raises(BundleError, match=broken):
        decode_plan(memoryview(encode_plan(plan)), 300)


def fold_of(**changes):
    folds = made_plan().folds
    return made_plan(folds=(dataclasses.replace(folds[0], **changes), folds[1]))


@pytest.mark.parametrize(
    ("plan", "broken"),
    [
        (fold_of(biases=4), "do not fit"),
        (fold_of(weights=1), "do not fit"),
        (fold_of(weights=9), "unknown vectors"),
        (fold_of(kind=3), "unknown form"),
        (fold_of(kind=1), "do not fit"),
        (fold_of(constants=np.array([0, 1, np.inf, 2], "f4")), "not finite"),
        (fold_of(constants=np.array([0, 1, 2], "f4")), "its plan is damaged"),
        (made_plan(folds=made_plan().folds[:1] * 2), "folded twice"),
    ],
)
def test_folds_that_break_a_rule_are_refused(plan, broken):
    with pytest.raises(BundleError, match=broken):
        decode_plan(memoryview(encode_plan(plan)), 300)


def test_half_scores_are_finite_and_not_below_0():
    good = made_plan(FLOAT16)
    assert decode_plan(memoryview(encode_plan(good)), 300).encoding == FLOAT16
    stepped = made_plan(FLOAT16, steps=np.array([0, 1]))
    with pytest.raises(BundleError, match="a step of half scores"):
        decode_plan(memoryview(encode_plan(stepped)), 300)
    for bad in (-1.0, np.inf, np.nan):
        scores = [x.copy() for x in good.scores]
        scores[1][0, 0] = bad
        plan = made_plan(FLOAT16, scores=scores)
        with pytest.raises(BundleError, match="a score that is below 0"):
            decode_plan(memoryview(encode_plan(plan)), 300)


def test_counts_that_would_take_gigabytes_are_refused_at_once():
    encoded = encode_plan(made_plan())
    for place in range(0, len(encoded) - 4):
        data = encoded[:place] + b"\xff\xff\xff\x7f" + encoded[place + 4 :]
        start = time.perf_counter()
        try:
            decode_plan(memoryview(data), 300)
        except BundleError:
            pass
        assert time.perf_counter() - start < 1


def test_bytes_behind_the_plan_are_refused():
    with pytest.raises(BundleError, match="bytes behind its end"):
        decode_plan(memoryview(encode_plan(made_plan()) + b"\0"), 300)


def mutated(content, random):
    """Flips bits, cuts or splices; mends the checksums half of the time."""
    data = bytearray(content)
    kind = random.integers(3)
    position, length, _ = struct.unpack("<3I", content[-12:])
    if kind == 0:
        for _ in range(random.integers(1, 4)):
            data[random.integers(len(data))] ^= 1 << random.integers(8)
    elif kind == 1:
        del data[random.integers(len(data)) :]
    else:
        start, end = random.integers(position, position + length, 2)
        size = random.integers(1, 9)
        data[start : start + size] = data[end : end + size]
    if random.random() < 0.5 and len(data) == len(content):
        plan = bytes(data[position : position + length])
        skeleton = zlib.crc32(data[: struct.unpack_from("<I", plan)[0]])
        plan = plan[:4] + struct.pack("<I", skeleton) + plan[8:]
        data[position : position + length] = plan
        data[-FOOTER_BYTES:] = encode_footer(position, plan)
    return bytes(data)


def test_mutated_bundles_give_a_file_or_the_one_error(tmp_path):
    content, random = made_bundle(), np.random.default_rng(0)
    path, cut = tmp_path / "pets.tflite", 0
    for _ in range(600):
        path.write_bytes(mutated(content, random))
        try:
            found = Bundle(path).extract(
                ["cat", "dog"], kept_fraction=0.7, round_to=1
            )
        except BundleError:
            continue
        cut += 1
        assert len(found) <= len(content) + 1000
    assert cut > 50  # some mutations hit what nobody reads


# Choosing.


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        # cat: 4, 0, 2, 0 and 1, 0; dog: 0, 1, 2, 0 and 0, 3 (scores x steps).
        ({"threshold": 2.0}, [[0, 2], [1]]),
        ({"threshold": 3.5}, [[0], [1]]),  # a group keeps one: its best
        ({"threshold": 0.1}, [[0, 1, 2], [0, 1]]),
        ({"threshold": 1.5, "rule": "xor"}, [[0], [1]]),
        ({"threshold": 1.0, "rule": "xor"}, [[0, 1], [0, 1]]),
        ({"threshold": 2.0, "rule": "mean"}, [[0, 2], [1]]),
        ({"threshold": 2.0, "round_to": 2}, [[0, 2], [0, 1]]),
        ({"threshold": 2.0, "round_to": 3}, [[0, 1, 2], [0, 1]]),
        ({"threshold": 2.0, "round_to": 10**9}, [[0, 1, 2, 3], [0, 1]]),
        # Order: 4 (0), 3 (1), 2 (0), 1 (0), 1 (1); two of six, at least.
        ({"kept_fraction": 0.34}, [[0], [1]]),
        ({"kept_fraction": 0.5}, [[0, 2], [1]]),
        ({"kept_fraction": 0.67}, [[0, 1, 2], [1]]),
        ({"kept_fraction": 1.0}, [[0, 1, 2], [0, 1]]),
    ],
)
def test_channels_are_chosen_by_the_rules_of_the_format(
    bundle, request_, expected
):
    assert kept(bundle, **request_) == expected


def test_as_many_channels_are_kept_as_parameters_allow(bundle):
    def parameters(a, b, classes=2):  # by hand: see made_plan
        return b * 2 * a + b + classes * (a + b) + classes

    for a, b in ((1, 1), (2, 1), (3, 1), (3, 2)):
        limit = parameters(a, b)
        found = kept(bundle, max_parameters=limit)
        assert [len(x) for x in found] == [a, b]
        selection = bundle.select(
            ["cat", "dog"], max_parameters=limit, round_to=1
        )
        assert selection.parameters(bundle.plan) == limit
    with pytest.raises(BundleError, match="smallest sub-network has 9"):
        kept(bundle, max_parameters=8)


@pytest.mark.parametrize(
    ("classes", "request_", "message"),
    [
        ([], {"threshold": 1}, "expected a list of class names"),
        ("cat", {"threshold": 1}, "expected a list of class names"),
        (["cow"], {"threshold": 1}, "unknown class 'cow', the bundle has cat"),
        (["cat", "cat"], {"threshold": 1}, "stands twice"),
        (["cat"], {}, "no limit"),
        (["cat"], {"threshold": 1, "kept_fraction": 1}, "expected one"),
        (["cat"], {"threshold": 0}, "threshold is 0"),
        (["cat"], {"threshold": 1e-60}, "threshold is 1e-60"),
        (["cat"], {"threshold": float("nan")}, "threshold is nan"),
        (["cat"], {"threshold": 9}, "the greatest is 4"),
        (["cat"], {"kept_fraction": 1.5}, "kept_fraction is 1.5"),
        (["cat"], {"kept_fraction": 0.1}, "smallest sub-network has 6"),
        (["cat"], {"threshold": 1, "rule": "and"}, "rule is 'and'"),
        (["cat"], {"threshold": 1, "rule": "xor"}, "needs two classes"),
        (["cat"], {"threshold": 1, "round_to": 0}, "round_to is 0"),
    ],
)
def test_requests_that_do_not_fit_are_refused(
    bundle, classes, request_, message
):
    with pytest.raises(BundleError, match=message):
        bundle.extract(classes, **request_)


# Cutting.


def cut(bundle, classes, **request):
    content = bundle.extract(classes, round_to=1, **request)
    words = np.frombuffer(content, "<u4", 16)

    def vector(field, dtype):
        start = field + words[field // 4]
        length = int.from_bytes(content[start : start + 4], "little")
        assert (start + 4) % 16 == 0
        return content, start + 4, length, dtype

    return content, words, vector


def numbers(found, elements=False):
    content, start, length, dtype = found
    count = length if elements else length // np.dtype(dtype).itemsize
    return np.frombuffer(content, dtype, count, start).tolist()


def test_rows_and_columns_are_gathered_and_constants_folded(bundle):
    # Kept of cat, dog at 2: channels 0, 2 of group 0 and 1 of group 1.
    _, words, vector = cut(bundle, ["cat", "dog"], threshold=2.0)
    # Row 1 of (2, 2, 4): 8..15; columns 0 and 2.
    assert numbers(vector(16, "<f4")) == [8, 10, 12, 14]
    # Bias 1, plus 1 x (9 + 13) for channel 1 and 2 x (11 + 15) for channel 3.
    assert numbers(vector(20, "<f4")) == [1 + 22 + 52]
    # Outputs 2 and 0 of (3, 6): 12.. and 0..; columns 0, 2 and 4 + 1.
    assert numbers(vector(24, "<i1")) == [12, 14, 17, 0, 2, 5]
    assert numbers(vector(28, "<f4"), elements=True) == [2, 0]
    # Column 2 stays, of the constants' columns; so does 5: nothing is folded.
    assert numbers(vector(32, "<i4")) == [2, 0]
    assert words[[10, 11, 12]].tolist() == [2, 3 * 3, 2]


def test_whole_numbers_are_folded_into_whole_numbers(bundle):
    # eel at 2: channel 3 of group 0 (rescued) and 0, 1 of group 1.
    assert kept(bundle, ["eel"], threshold=2.0) == [[3], [0, 1]]
    _, _, vector = cut(bundle, ["eel"], threshold=2.0)
    # Output 1: bias 1, and 5 x the 8 of its dropped column 2.
    assert numbers(vector(32, "<i4")) == [1 + 5 * 8]


def test_a_sub_network_carries_its_labels(bundle):
    content = bundle.extract(["dog", "cat"], kept_fraction=1.0)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt") == b"dog\ncat\n"


def test_the_same_request_gives_the_same_bytes(bundle):
    first, second = (
        bundle.extract(["dog", "cat"], kept_fraction=1.0) for _ in range(2)
    )
    assert first == second


def test_plan_of_a_whole_file_is_read_without_a_path():
    plan = read_plan(memoryview(made_bundle()))
    assert plan.widths == (4, 2)
