"""Tests of drnet_tf/graph.py, and of the private Keras it stands on."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from drnet_tf.graph import TensorRef, check_model, read_graph, replay
from drnet_tf.graph_building import model_like, new_inputs


def names(model):
    return [call.name for call in read_graph(model).calls]


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def check_replay(model, *inputs):
    """The graph run on arrays gives what the model gives, bit for bit."""
    found = replay(read_graph(model), list(inputs))
    fed = list(inputs) if len(inputs) > 1 else inputs[0]
    expected = keras.tree.flatten(model(fed))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def backbone(name, filters=4):
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(filters, 3, name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(image, layers.ReLU(name="relu")(x), name=name)


def test_keras_still_has_the_private_attributes_that_graph_py_reads():
    image = keras.Input((2,))
    dense = layers.Dense(3)
    output = dense(image)
    message = (
        f"Keras {keras.__version__} has changed what drnet_tf/graph.py reads: "
    )
    history = getattr(output, "_keras_history", None)
    assert history is not None, message + "KerasTensor._keras_history"
    assert history.operation is dense, message + "_keras_history.operation"
    nodes = getattr(dense, "_inbound_nodes", None)
    assert nodes, message + "Operation._inbound_nodes"
    node = nodes[history.node_index]
    arguments = node.arguments
    assert node.operation is dense, message + "Node.operation"
    assert node.outputs[history.tensor_index] is output, message + "outputs"
    assert arguments.keras_tensors[0] is image, message + "keras_tensors"
    assert arguments.args[0] is image, message + "SymbolicArguments.args"
    assert isinstance(arguments.kwargs, dict), message + "kwargs"
    functional = keras.src.models.functional.Functional
    assert isinstance(keras.Model(image, output), functional), message


def test_chain_is_read_in_order_with_its_tensors():
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.ReLU(name="relu")(x)
    model = keras.Model(image, layers.Flatten(name="flat")(x))
    graph = read_graph(model)
    assert [c.name for c in graph.calls] == ["conv", "relu", "flat"]
    assert graph.inputs == (0,) and graph.outputs == (3,)
    assert [c.inputs for c in graph.calls] == [(0,), (1,), (2,)]
    assert [c.outputs for c in graph.calls] == [(1,), (2,), (3,)]
    assert graph.tensors[1].shape == (None, 4, 4, 4)
    assert graph.calls[0].args == (TensorRef(0),)
    assert graph.calls[0].operation is model.get_layer("conv")


def test_sequential_is_read_like_a_functional_model():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(name="flat"),
        ]
    )
    assert names(model) == ["conv", "flat"]
    check_replay(model, images(2, 6, 6, 3))


def test_nested_models_are_opened_two_deep():
    image = keras.Input((6, 6, 3))
    outer = keras.Sequential(
        [keras.Input((6, 6, 3)), backbone("inner"), layers.Flatten(name="f")],
        name="middle",
    )
    model = keras.Model(image, layers.Dense(2, name="head")(outer(image)))
    assert names(model) == [
        "middle/inner/conv",
        "middle/inner/norm",
        "middle/inner/relu",
        "middle/f",
        "head",
    ]
    check_replay(model, images(2, 6, 6, 3))


def test_nested_model_called_twice_shares_its_operations():
    first, second = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    twin = backbone("twin")
    model = keras.Model(
        [first, second],
        layers.Subtract(name="less")([twin(first), twin(second)]),
    )
    graph = read_graph(model)
    assert [c.name for c in graph.calls] == [
        "twin/conv",
        "twin/norm",
        "twin/relu",
        "twin/conv:1",
        "twin/norm:1",
        "twin/relu:1",
        "less",
    ]
    assert graph.calls[0].operation is graph.calls[3].operation
    assert graph.calls[0].inputs == (graph.inputs[0],)
    assert graph.calls[3].inputs == (graph.inputs[1],)
    check_replay(model, images(2, 6, 6, 3), images(2, 6, 6, 3, seed=1))


def test_training_of_a_nested_call_reaches_the_layers_that_know_it():
    image = keras.Input((6, 6, 3))
    frozen = backbone("frozen")
    model = keras.Model(image, frozen(image, training=False))
    calls = {call.name: call for call in read_graph(model).calls}
    assert calls["frozen/norm"].kwargs["training"] is False
    assert "training" not in calls["frozen/conv"].kwargs
    free = keras.Model(image, frozen(image))
    calls = {call.name: call for call in read_graph(free).calls}
    assert calls["frozen/norm"].kwargs.get("training") is None


def test_shared_layer_is_one_operation_with_three_calls():
    image = keras.Input((6, 6, 3))
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    model = keras.Model(image, conv(conv(conv(image))))
    graph = read_graph(model)
    assert [c.name for c in graph.calls] == ["conv", "conv:1", "conv:2"]
    assert len({id(c.operation) for c in graph.calls}) == 1
    assert graph.calls[2].inputs == graph.calls[1].outputs
    check_replay(model, images(2, 6, 6, 3))


def test_layer_called_outside_of_the_model_leaves_no_call():
    image = keras.Input((6, 6, 3))
    conv = layers.Conv2D(3, 3, name="conv")
    conv(keras.Input((9, 9, 3)))
    model = keras.Model(image, conv(image))
    conv(keras.Input((7, 7, 3)))
    graph = read_graph(model)
    assert [c.name for c in graph.calls] == ["conv"]
    assert graph.tensors[graph.outputs[0]].shape == (None, 4, 4, 3)


def test_operators_are_calls_with_constants_in_their_arguments():
    a, b = keras.Input((3,)), keras.Input((3,))
    total = a + b
    model = keras.Model([a, b], ops.relu(total * 0.5)[:, :2])
    graph = read_graph(model)
    kinds = [type(c.operation).__name__ for c in graph.calls]
    assert kinds == ["Add", "Multiply", "Relu", "GetItem"]
    assert graph.calls[0].inputs == graph.inputs
    assert 0.5 in keras.tree.flatten(
        (graph.calls[1].args, graph.calls[1].kwargs)
    )
    check_replay(model, images(2, 3), images(2, 3, seed=1))


def test_several_inputs_and_outputs_keep_their_order():
    a, b = keras.Input((3,), name="a"), keras.Input((4,), name="b")
    x = layers.Dense(5, name="x")(a)
    y = layers.Dense(5, name="y")(b)
    both = layers.Add(name="both")([y, x])
    model = keras.Model([b, a], [both, x])
    graph = read_graph(model)
    assert [graph.tensors[i].shape for i in graph.inputs] == [
        (None, 4),
        (None, 3),
    ]
    producers = graph.producers()
    assert [producers[i].name for i in graph.outputs] == ["both", "x"]
    made = {c.name: c.outputs[0] for c in graph.calls}
    calls = {c.name: c for c in graph.calls}
    assert calls["both"].inputs == (made["y"], made["x"])
    assert [c.name for c in graph.consumers()[made["x"]]] == ["both"]
    assert graph.consumers()[graph.outputs[0]] == ()
    check_replay(model, images(2, 4), images(2, 3))


def test_consumers_name_a_call_once_that_reads_a_tensor_twice():
    a = keras.Input((3,))
    graph = read_graph(keras.Model(a, layers.Multiply(name="square")([a, a])))
    assert [c.name for c in graph.consumers()[0]] == ["square"]
    assert graph.calls[0].inputs == (0, 0)


def test_nested_model_with_named_inputs_gets_each_its_own():
    small, large = keras.Input((3,), name="z"), keras.Input((3,), name="b")
    inner = keras.Model(
        {"z": small, "b": large}, layers.Subtract()([small, large])
    )
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], inner({"b": b, "z": a}))
    found = replay(read_graph(model), [5 * np.ones((1, 3)), np.ones((1, 3))])
    np.testing.assert_array_equal(found[0], 4 * np.ones((1, 3)))


def test_operation_with_several_outputs():
    a = keras.Input((4,))
    left, right = ops.split(a, 2, axis=1)
    model = keras.Model(a, [right, left])
    graph = read_graph(model)
    assert len(graph.calls) == 1 and len(graph.calls[0].outputs) == 2
    assert graph.outputs == tuple(reversed(graph.calls[0].outputs))
    check_replay(model, images(2, 4))


def test_replay_lets_the_caller_run_a_call():
    a = keras.Input((3,))
    model = keras.Model(a, layers.ReLU(name="relu")(layers.Dense(3)(a)))
    seen = []

    def doubled(call, args, kwargs):
        seen.append(call.name)
        return 2 * call.operation(*args, **kwargs)

    x = images(2, 3)
    found = replay(read_graph(model), [x], doubled)[0]
    assert seen[-1] == "relu" and len(seen) == 2
    np.testing.assert_allclose(found, 4 * model(x), rtol=1e-6)


def test_copies_have_the_structure_and_the_name_of_the_model():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model(
        {"a": a, "b": b}, {"sum": layers.Add()([a, b])}, name="net"
    )
    inputs = new_inputs(model)
    copy = model_like(model, inputs, replay(read_graph(model), inputs))
    assert copy.name == "net" and set(copy.input) == {"a", "b"}
    x = {"a": images(2, 3), "b": images(2, 3, seed=1)}
    np.testing.assert_array_equal(copy(x)["sum"], model(x)["sum"])


def test_chain_of_3000_layers_does_not_exhaust_the_stack():
    limit = sys.getrecursionlimit()
    # Keras itself recurses where it builds such a model; reading must not.
    sys.setrecursionlimit(50_000)
    try:
        x = image = keras.Input((2,))
        for _ in range(3000):
            x = layers.Identity()(x)
        model = keras.Model(image, x)
    finally:
        sys.setrecursionlimit(limit)
    graph = read_graph(model)
    assert len(graph.calls) == 3000
    x = images(1, 2)
    np.testing.assert_array_equal(replay(graph, [x])[0], x)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


class Doubled(keras.Model):
    """Functional by its making, but its graph is not what it does."""

    def call(self, inputs):
        return 2 * super().call(inputs)


class OwnTraining(keras.Model):
    """Functional; only its training step is its own."""

    def train_step(self, data):
        return {}


def doubled():
    x = keras.Input((3,))
    return Doubled(x, layers.Dense(2)(x), name="net")


def test_what_has_no_graph_is_refused():
    ending = (
        "whose graph cannot be read; rebuild it as "
        "keras.Model(inputs, outputs)."
    )
    with pytest.raises(TypeError) as error:
        read_graph(Subclassed(name="net"))
    assert str(error.value) == (
        "Model 'net': expected a Functional or Sequential model, got the "
        f"subclass Subclassed, {ending}"
    )
    with pytest.raises(TypeError) as error:
        check_model(doubled())
    assert str(error.value) == (
        "Model 'net': expected a Functional or Sequential model, got the "
        f"subclass Doubled, {ending}"
    )
    with pytest.raises(ValueError) as error:
        read_graph(keras.Sequential([layers.Dense(2)], name="net"))
    assert str(error.value) == (
        "Model 'net': this Sequential has no input shape yet, so it has no "
        "graph; add a keras.Input or call model.build(input_shape) first."
    )
    with pytest.raises(TypeError) as error:
        read_graph("net.keras")
    assert str(error.value) == (
        "model: expected a Functional or Sequential keras.Model, got str; "
        "load it with keras.models.load_model."
    )


def test_model_that_only_trains_in_its_own_way_is_read():
    x = keras.Input((3,))
    model = OwnTraining(x, layers.Dense(2, name="dense")(x))
    assert names(model) == ["dense"]


def test_nested_model_without_a_graph_is_one_call():
    x = keras.Input((3,))
    model = keras.Model(x, doubled()(Subclassed(name="inner")(x)))
    assert names(model) == ["inner", "net"]
    check_replay(model, images(2, 3))


def test_new_inputs_are_named_as_the_input_layers():
    x = keras.Input((3,))
    model = keras.Model(x, layers.Dense(2)(x))
    (name,) = (
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer)
    )
    assert [x.name for x in new_inputs(model)] == [name] != [x.name]
    chain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    (made,) = new_inputs(chain)
    config = chain.get_config()["layers"][0]["config"]
    assert made.name == config["name"]
