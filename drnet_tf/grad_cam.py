"""Grad-CAM: where in an image a network finds what speaks for a class.

With A the maps of a layer, `(rows, columns, channels)`, and y the logit of a
class,

    α_k = 1/Z Σ_ij ∂y / ∂A_ijk,    L_ij = max(Σ_k α_k A_ijk, 0),

where Z is the number of places of a map (Eq. 1 and 2).

Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM: Visual
Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from drnet_tf.classifier import find_classifier
from drnet_tf.dissection import autodiff
from drnet_tf.free_sites import GateSite
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.logits import logit_caller
from drnet_tf.sites import gate_sites

_FEWEST_PLACES = 4  # along a side: fewer tell no places apart
_READ = 100  # images run at a time


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    outputs: Sequence[int] | np.ndarray,
    site: str | None = None,
) -> np.ndarray:
    """The Grad-CAM of every image for one output each.

    Args:
      model: a classifier, its outputs logits or probabilities; the logits are
        what is derived. It is not changed.
      images: `(N, height, width, channels)` as the network expects them.
      outputs: `(N,)` whole numbers, the output asked of each image.
      site: name of the site whose maps are A, see `last_map_site`, which gives
        it by default. A pruned network has the names of the full one.

    Returns:
      `(N, rows, columns)` float32, 0 or more, of the size of the site's maps.

    Raises:
      ValueError: no such site, or none with maps of a fixed size; a model
        with several inputs or no class scores; an output that it has not.
      RuntimeError: a Keras backend without gradients here.

    Example:
      >>> model = keras.Sequential([
      ...     keras.Input((4, 4, 1)),
      ...     keras.layers.Conv2D(1, 1, use_bias=False, name="conv"),
      ...     keras.layers.GlobalAveragePooling2D(),
      ...     keras.layers.Dense(2, use_bias=False),
      ... ])
      >>> model.set_weights([np.ones((1, 1, 1, 1)), np.array([[16.0, -16.0]])])
      >>> images = np.arange(16.0).reshape(1, 4, 4, 1)
      >>> grad_cam(model, images, [0])[0, 1].tolist()
      [4.0, 5.0, 6.0, 7.0]
      >>> grad_cam(model, images, [1]).max().item()
      0.0
    """
    autodiff.check_backend()
    wanted = np.asarray(outputs)
    count = find_classifier(model, 1).num_classes
    known = (wanted >= 0) & (wanted < count)
    if wanted.shape != (len(images),) or not known.all():
        raise ValueError(
            f"Grad-CAM, model '{model.name}': got {wanted.size} outputs for "
            f"{len(images)} images, expected one for each, below {count}."
        )
    run = _compiled(model, _find_site(model, site), count)
    parts = []
    for first in range(0, len(images), _READ):
        chosen = np.eye(count, dtype=np.float32)[wanted[first : first + _READ]]
        some = images[first : first + _READ]
        maps, slopes = run(
            ops.convert_to_tensor(some, "float32"),
            ops.convert_to_tensor(chosen),
        )
        parts.append(
            weigh_maps(ops.convert_to_numpy(maps), ops.convert_to_numpy(slopes))
        )
    return np.concatenate(parts)


def weigh_maps(maps: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The maps of a layer, weighed by their mean derivatives: L.

    Args:
      maps: `(N, rows, columns, channels)` A.
      slopes: the same shape, ∂y / ∂A.

    Returns:
      `(N, rows, columns)`, 0 or more.

    Example:
      >>> maps = np.array([[[[1.0, 2.0]], [[3.0, 1.0]]]])
      >>> slopes = np.array([[[[2.0, -2.0]], [[0.0, 0.0]]]])
      >>> weigh_maps(maps, slopes).tolist()
      [[[0.0], [2.0]]]
    """
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * maps).sum(axis=-1), 0)


def last_map_site(model: keras.Model) -> GateSite:
    """The last site with maps of 4 x 4 places or more.

    Grad-CAM takes the last convolution's maps. Those of networks for small
    images may be as small as 2 x 2, which shows nothing.

    Raises:
      ValueError: there is none.
    """
    graph = read_graph(model)
    for site in reversed(gate_sites(model)):
        if _places(graph, site) >= _FEWEST_PLACES:
            return site
    raise ValueError(
        f"Model '{model.name}': found no convolution with maps of "
        f"{_FEWEST_PLACES} x {_FEWEST_PLACES} places or more, channels last "
        "and of a fixed size, expected one for Grad-CAM; say which site to "
        "take, or build the network with a fixed image size."
    )


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much of what two maps show lies at the same places.

    Σ_ij min(p_ij, q_ij) of the maps p and q, each divided by its sum.

    Args:
      first, second: `(N, rows, columns)`, 0 or more.

    Returns:
      `(N,)` in [0, 1]; NaN where a map is all 0.

    Example:
      >>> a, b = np.array([[[1.0, 1.0]]]), np.array([[[3.0, 1.0]]])
      >>> overlap(a, b).tolist()
      [0.75]
    """
    return np.minimum(_shares(first), _shares(second)).sum(axis=(1, 2))


def spread(maps: np.ndarray) -> np.ndarray:
    """Over what part of the image a map is spread.

    exp(-Σ_ij p_ij log p_ij) / Z of the map p, divided by its sum: 1 where all Z
    places count alike, 1 / Z where one alone does.

    Args:
      maps: `(N, rows, columns)`, 0 or more.

    Returns:
      `(N,)` in (0, 1]; NaN where a map is all 0.

    Example:
      >>> spread(np.array([[[1.0, 1.0]], [[2.0, 0.0]]])).tolist()
      [1.0, 0.5]
    """
    shares = _shares(maps)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = -(shares * logs).sum(axis=(1, 2))
    return np.exp(entropy) / (maps.shape[1] * maps.shape[2])


def _shares(maps: np.ndarray) -> np.ndarray:
    total = maps.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    nothing = np.full(maps.shape, np.nan)
    return np.divide(maps, total, out=nothing, where=total > 0)


def _find_site(model: keras.Model, name: str | None) -> GateSite:
    if name is None:
        return last_map_site(model)
    sites = {site.name: site for site in gate_sites(model)}
    if name not in sites:
        raise ValueError(
            f"Model '{model.name}' has no site '{name}', expected one of "
            f"{', '.join(sites)}."
        )
    if not _places(read_graph(model), sites[name]):
        raise ValueError(
            f"Model '{model.name}': site '{name}' has no maps of a fixed size "
            "with channels last, expected some; choose another site."
        )
    return sites[name]


def _places(graph: Graph, site: GateSite) -> int:
    """Places along the shorter side of a site's maps; 0: it has no maps."""
    shape = graph.tensors[site.tensor].shape
    if len(shape) != 4 or None in shape[1:] or site.axis != -1:
        return 0
    return min(shape[1:3])


def _compiled(
    model: keras.Model, site: GateSite, count: int
) -> Callable[..., tuple[Any, Any]]:
    """(images, one-hot outputs) -> A and ∂y / ∂A of every image."""
    if len(model.inputs) != 1:
        raise ValueError(
            f"Model '{model.name}' has {len(model.inputs)} inputs, expected "
            "one, the images."
        )
    graph = read_graph(model)
    shape = graph.tensors[site.tensor].shape[1:]
    call = logit_caller(graph, find_classifier(model, 1))

    def run(images: Any, chosen: Any) -> tuple[Any, Any]:
        # The derivative by what is added to the maps is that by the maps.
        def logit(added: Any) -> tuple[Any, Any]:
            found = []

            def shifted(step: Call, args: Any, kwargs: Any) -> Any:
                values = call(step, args, kwargs)
                if step.outputs[0] != site.tensor:
                    return values
                found.append(values)
                return values + ops.cast(added, values.dtype)

            (logits,) = replay(graph, [images], shifted)
            # A sum: the maps of an image feel its own logit only.
            return ops.sum(ops.cast(logits, "float32") * chosen), found[0]

        slopes, maps = autodiff.gradient(
            logit, ops.zeros((ops.shape(images)[0], *shape))
        )
        return ops.cast(maps, "float32"), slopes

    shapes = [(None, *model.inputs[0].shape[1:]), (None, count)]
    return autodiff.compiled(run, shapes)
