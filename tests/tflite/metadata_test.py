"""Metadata: what is written is read again, by readers of our own and others."""

from __future__ import annotations

import dataclasses
import io
import zipfile

import drnet_tflite
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from drnet_tflite.embedding import with_metadata
from drnet_tflite.flatbuffer_tables import Table, pack_table
from drnet_tflite.loaded_model import LoadedModel
from drnet_tflite.metadata import (
    Metadata,
    append_labels,
    pack_metadata,
    read_metadata,
)

from drnet_tf.version import VERSION


def network(channels=3, shape=None):
    keras.utils.set_random_seed(1)
    shape = shape or (6, 6, channels)
    image = keras.Input(shape)
    x = keras.layers.Flatten()(image)
    return keras.Model(image, keras.layers.Dense(2)(x), name="pets")


def converted(folder, model=None, **arguments):
    path = folder / "net.tflite"
    drnet_tflite.convert(model or network(), path, **arguments)
    return path


def test_what_is_written_is_read(tmp_path):
    mean, std = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)
    path = converted(
        tmp_path, labels=("cat", "große Hunde"), mean=mean, std=std
    )
    found = drnet_tflite.read_metadata(path)
    assert found.name == "pets"
    assert found.description == "A float32 network, converted by drnet_tf."
    assert found.version == VERSION
    assert "Apache License 2.0" in found.license
    assert found.color_space == "RGB"
    assert found.mean == tuple(map(float, np.float32(mean)))
    assert found.std == tuple(map(float, np.float32(std)))
    assert found.labels == ("cat", "große Hunde")
    assert drnet_tflite.read_labels(path) == found.labels
    assert found.min_runtime_version == "1.5.0"


def test_what_is_not_given_is_empty(tmp_path):
    found = read_metadata(converted(tmp_path))
    assert (found.mean, found.std, found.labels) == ((), (), ())
    assert not zipfile.is_zipfile(tmp_path / "net.tflite")


def test_one_number_for_all_channels(tmp_path):
    found = read_metadata(converted(tmp_path, mean=127.5, std=127.5))
    assert (found.mean, found.std) == ((127.5,), (127.5,))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6, 6, 1), "GRAYSCALE"),
        ((6, 6, 3), "RGB"),
        ((6, 6, 4), "UNKNOWN"),
        ((6, 3), "UNKNOWN"),
    ],
)
def test_color_space(shape, expected, tmp_path):
    path = converted(tmp_path, network(shape=shape))
    assert read_metadata(path).color_space == expected


def test_the_labels_are_a_file_for_every_zip_program(tmp_path):
    path = converted(tmp_path, labels=("cat", "dog"))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        (entry,) = archive.infolist()
        assert archive.read("labels.txt") == b"cat\ndog\n"
    assert entry.filename == "labels.txt"
    assert entry.compress_type == zipfile.ZIP_STORED
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)
    # Stored at positions of the whole file, as Google's readers expect.
    content = path.read_bytes()
    assert content[entry.header_offset :].startswith(b"PK\x03\x04")


def test_litert_finds_the_metadata_and_every_buffer_is_aligned(tmp_path):
    """Read by the classes that were generated from LiteRT's schema."""
    labels = [f"class {i}" for i in range(2)]
    content = converted(tmp_path, labels=labels).read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content)
    names = [entry.name.decode() for entry in model.metadata]
    assert names.count("TFLITE_METADATA") == 1
    assert "min_runtime_version" in names
    packed = model.buffers[model.metadata[-1].buffer].data.tobytes()
    assert packed[4:8] == b"M001"
    sizes = [x.data.size for x in model.buffers if x.data is not None]
    assert 4 * 2 * 108 in sizes  # the weights of the dense layer
    for buffer in model.buffers:
        if buffer.data is not None:
            position = buffer.data.__array_interface__["data"][0]
            start = np.frombuffer(content, np.uint8).__array_interface__["data"]
            assert (position - start[0]) % 16 == 0


def test_every_field_comes_back(tmp_path):
    metadata = Metadata(
        name="n",
        description="d",
        version="1.2",
        license="l",
        color_space="GRAYSCALE",
        mean=(0.5,),
        std=(0.25, 2.0),
        labels=("a",),
    )
    path = converted(tmp_path)
    runtime = read_metadata(path).min_runtime_version
    whole = path.read_bytes()
    for expected in (metadata, Metadata("bare")):
        path.write_bytes(with_metadata(whole, expected))
        found = read_metadata(path)
        assert found == dataclasses.replace(
            expected, min_runtime_version=runtime
        )


def test_the_slots_are_those_of_the_schema():
    """By hand, after `metadata_schema.fbs`."""
    model = Table.root(pack_metadata(Metadata("n", mean=(1.0,), std=(2.0,))))
    (graph,) = model.tables(3)
    (image,), (scores,) = graph.tables(2), graph.tables(3)
    assert (image.text(0), scores.text(0)) == ("image", "scores")
    assert image.table(3).number(0) == 2  # ImageProperties
    (unit,) = image.tables(4)
    assert unit.number(0) == 1  # NormalizationOptions
    assert unit.table(1).floats(0) == (1.0,)
    assert unit.table(1).floats(1) == (2.0,)
    assert scores.tables(6) == []
    assert model.text(7) == "1.0.0"


def test_tables_of_every_kind():
    content = pack_table(
        {0: "é", 1: 0, 2: 200 - 256, 3: (), 4: {}, 9: [{0: "x"}, {0: "y"}]},
        b"TEST",
    )
    table = Table.root(content)
    assert table.text(0) == "é"
    assert (table.number(1), table.number(2), table.number(77)) == (0, 200, 0)
    assert table.floats(3) == ()
    assert table.table(4) is None
    assert [entry.text(0) for entry in table.tables(9)] == ["x", "y"]


def test_the_runtime_reads_the_file_as_before(tmp_path):
    with_labels = converted(tmp_path, labels=("cat", "dog"))
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    expected = network().predict(images, verbose=0)
    found = drnet_tflite.run(with_labels, images)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert LoadedModel(with_labels).output.name == "scores"


def test_labels_of_another_name_in_the_archive(tmp_path):
    """Google's writers let the file be called anything."""
    path = converted(tmp_path, labels=("cat", "dog"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"labels.txt", b"names1.txt"))
    assert drnet_tflite.read_labels(path) == ("cat", "dog")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="none.tflite' cannot be read: No s"):
        drnet_tflite.read_labels(tmp_path / "none.tflite")
    path = converted(tmp_path, labels=("cat", "dog"))
    whole = path.read_bytes()
    start = whole.index(b"PK\x03\x04")
    damaged = tmp_path / "damaged.tflite"
    for content in (b"", b"some text", whole[:60], whole[:start], whole[:-1]):
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match="damaged or no .tflite file"):
            read_metadata(damaged)
    damaged.write_bytes(whole.replace(b"TFLITE_METADATA", b"TFLITE_METADATE"))
    with pytest.raises(ValueError, match="no TFLite metadata; make it with dr"):
        read_metadata(damaged)


def test_damage_is_a_value_error_and_nothing_else(tmp_path):
    path = converted(tmp_path, labels=("cat", "dog"))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        content = whole.copy()
        # The weights are nine tenths of the file; they are not read.
        near_ends = generator.integers(-400, 400, 4)
        content[near_ends] = generator.integers(0, 256, 4)
        path.write_bytes(content.tobytes())
        try:
            read_metadata(path)
        except ValueError:
            refused += 1
    assert 200 < refused < 1000


def test_without_labels_nothing_is_appended():
    assert append_labels(b"model", ()) == b"model"
    content = append_labels(b"model", ("a",))
    assert content.startswith(b"model")
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["labels.txt"]
