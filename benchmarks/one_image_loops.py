"""Gate learning written plainly: eager, one image at a time.

What a reader of the paper would write first, in TensorFlow and in PyTorch; the
benchmark of the dissection holds the library against it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

Loop = Callable[[np.ndarray], np.ndarray]  # (1, ...) -> (channels of all,)


@dataclasses.dataclass(frozen=True)
class Settings:
    """DRNet's settings (section 4.1)."""

    iterations: int
    learning_rate: float = 0.1
    momentum: float = 0.9
    gamma: float = 0.05
    highest: float = 10.0


def tensorflow_loop(model: Any, settings: Settings) -> Loop:
    """GradientTape and Keras' SGD on the gates of `gate_model(model)`."""
    import keras
    import tensorflow as tf

    from drnet_tf.gates import gate_model, gate_names
    from drnet_tf.sites import gate_sites

    gated = gate_model(model)
    gates = [
        gated.get_layer(name).gates.value
        for name in gate_names(gate_sites(model)).values()
    ]

    def log_probabilities(image: np.ndarray) -> Any:
        outputs = gated(image, training=False)
        return tf.nn.log_softmax(tf.cast(outputs, tf.float32))

    def learn(image: np.ndarray) -> np.ndarray:
        for gate in gates:
            gate.assign(tf.ones_like(gate))
        target = log_probabilities(image)
        optimizer = keras.optimizers.SGD(
            settings.learning_rate, settings.momentum
        )
        for _ in range(settings.iterations):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(gates)
                log_q = log_probabilities(image)
                kl = tf.reduce_sum(tf.exp(target) * (target - log_q))
                l1 = tf.add_n([tf.reduce_sum(tf.abs(gate)) for gate in gates])
                loss = kl + settings.gamma * l1
            slopes = tape.gradient(loss, gates)
            optimizer.apply_gradients(zip(slopes, gates, strict=True))
            for gate in gates:
                gate.assign(tf.clip_by_value(gate, 0.0, settings.highest))
        return np.concatenate([gate.numpy() for gate in gates])

    return learn


def torch_loop(model: Any, settings: Settings) -> Loop:
    """The same in PyTorch, for plain chains of VGG's layers.

    Raises:
      ImportError: torch is not installed.
      ValueError: the network is no such chain.
    """
    import torch

    widths, forward = _torch_chain(model)

    def learn(image: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(image.astype(np.float32))
        gates = [torch.ones(width, requires_grad=True) for width in widths]
        optimizer = torch.optim.SGD(
            gates, settings.learning_rate, settings.momentum
        )
        with torch.no_grad():
            target = torch.log_softmax(forward(x, gates), dim=1)
        for _ in range(settings.iterations):
            optimizer.zero_grad()
            log_q = torch.log_softmax(forward(x, gates), dim=1)
            kl = (target.exp() * (target - log_q)).sum()
            l1 = sum(gate.abs().sum() for gate in gates)
            (kl + settings.gamma * l1).backward()
            optimizer.step()
            with torch.no_grad():
                for gate in gates:
                    gate.clamp_(0.0, settings.highest)
        return torch.cat(gates).detach().numpy()

    return learn


def _torch_chain(model: Any) -> tuple[list[int], Callable[..., Any]]:
    """Widths of the gates, and images `(N, h, w, c)`, gates -> logits."""
    import torch

    from drnet_tf.classifier import find_classifier
    from drnet_tf.graph import read_graph
    from drnet_tf.sites import gate_sites

    graph = read_graph(model)
    if find_classifier(model).probabilities:
        raise ValueError("its softmax is inside")
    sites = {site.tensor: n for n, site in enumerate(gate_sites(model))}
    steps, before = [], graph.inputs
    for call in graph.calls:
        if call.inputs != before or len(call.outputs) != 1:
            raise ValueError(f"'{call.name}' makes it more than a chain")
        steps.append((_torch_step(call.operation), sites.get(call.outputs[0])))
        before = call.outputs

    def forward(images: Any, gates: list[Any]) -> Any:
        x = images.permute(0, 3, 1, 2).contiguous()
        for step, site in steps:
            x = step(x)
            if site is not None:
                x = x * gates[site].reshape(1, -1, 1, 1)
        return x

    torch.set_grad_enabled(True)
    return [site.channels for site in gate_sites(model)], forward


def _torch_step(layer: Any) -> Callable[[Any], Any]:
    """One layer of a chain, in PyTorch, with the weights of Keras'."""
    import torch
    from torch.nn import functional

    kind = type(layer).__name__
    weights = [torch.from_numpy(np.array(w)) for w in layer.get_weights()]
    if kind == "Conv2D":
        return _torch_conv(layer, weights)
    if kind == "BatchNormalization" and layer.scale and layer.center:
        gamma, beta, mean, variance = weights
        return lambda x: functional.batch_norm(
            x, mean, variance, gamma, beta, eps=layer.epsilon
        )
    if kind == "ReLU" and layer.get_config()["max_value"] is None:
        return torch.relu
    if kind == "MaxPooling2D" and layer.padding == "valid":
        return lambda x: functional.max_pool2d(
            x, layer.pool_size, layer.strides
        )
    if kind == "GlobalAveragePooling2D":
        return lambda x: x.mean((2, 3))
    if kind == "Rescaling":
        return lambda x: x * layer.scale + layer.offset
    if kind == "Flatten":  # Keras flattens with the channels last
        return lambda x: x.permute(0, 2, 3, 1).flatten(1)
    if kind == "Dropout":
        return lambda x: x
    if kind == "Dense" and layer.activation.__name__ in ("linear", "relu"):
        kernel, *bias = weights
        act = torch.relu if layer.activation.__name__ == "relu" else _same
        return lambda x: act(functional.linear(x, kernel.T, *bias))
    raise ValueError(f"no PyTorch counterpart here of '{layer.name}' ({kind})")


def _torch_conv(layer: Any, weights: list[Any]) -> Callable[[Any], Any]:
    import torch
    from torch.nn import functional

    kernel, *bias = weights
    kernel = kernel.permute(3, 2, 0, 1).contiguous()
    same, odd = layer.padding == "same", all(k % 2 for k in layer.kernel_size)
    name = layer.activation.__name__
    if (
        layer.padding not in ("same", "valid")
        or layer.dilation_rate != (1, 1)
        or (same and (layer.strides != (1, 1) or not odd))
        or name not in ("linear", "relu")
    ):
        raise ValueError(f"no PyTorch counterpart here of '{layer.name}'")
    padding = [k // 2 if same else 0 for k in layer.kernel_size]
    act = torch.relu if name == "relu" else _same
    return lambda x: act(
        functional.conv2d(
            x,
            kernel,
            *bias,
            stride=layer.strides,
            padding=padding,
            groups=layer.groups,
        )
    )


def _same(x: Any) -> Any:
    return x
