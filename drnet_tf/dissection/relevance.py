"""Model LEGO's relevance: contributions, walked back from a class' logit."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np

from drnet_tf.classifier import Classifier, find_classifier
from drnet_tf.dissection.back_walk import BackWalk
from drnet_tf.dissection.contributions import Contributions, contributes
from drnet_tf.dissection.method import Problem
from drnet_tf.dissection.scaling import min_max
from drnet_tf.free_sites import channel_axis
from drnet_tf.graph import Call, Graph, read_graph, replay
from drnet_tf.progress import DelayedBar

_MODES = ("hard", "soft")


@dataclasses.dataclass(frozen=True)
class Relevance:
    """Contribution aggregation and allocation of Model LEGO.

    Of a layer with input maps a_p and kernels c_{q,p}, one image contributes
    s_{q,p} = Σ_{h,w} (c_{q,p} * a_p)[h, w], without the bias. Aggregation:
    V_{q,p} = Σ max(s_{q,p}, 0) over the images of the class, scaled over p,

        r_{q,p} = (V_{q,p} - min_p V) / (max_p V - min_p V + 1e-5).

    Allocation, from the class' logit back to the first layer, over the outputs
    q that the layers behind found relevant:

        hard:  s_p = Σ_{q relevant} 1[r_{q,p} > α],   relevant: r_p > β,
        soft:  s_p = Σ_q r_q r_{q,p},

    and r_p is s_p scaled over p. A hard score is r_p, or 0 for what is not
    relevant: a mask of any threshold up to the smaller β (`union(importance,
    classes, 0.01)`) is the paper's component; a higher one goes on. Classes are
    united as in the paper. Memory: K P Q float32 for every layer.

    Reference: Hu et al., "Model LEGO: Creating Models Like Disassembling and
    Assembling Building Blocks", NeurIPS 2024 (arXiv:2203.13453, version 2), and
    its code github.com/jiaconghu/Model-LEGO, whose votes and strict ">" differ
    from the equations on the paper's poster and are followed here.

    Departures: the images are those that `dissect` draws from the correctly
    classified ones (the paper: the 50 most confident of a class). Through sums,
    concatenations, flattening and depthwise convolutions every channel is
    followed to the very channels that it is made of, and one that several
    layers read is relevant if it is to one of them; the code takes all channels
    as relevant where numbers do not fit. That is done here where channels
    cannot be followed (attention, transposed convolutions, layers of one's
    own): the diagnostics name those calls as `reset`. Soft: on the poster the
    sum runs over all q alike; here each counts as much as it is relevant
    itself, as otherwise no layer would learn from those behind. Where all p
    have the same s, all are relevant if it is positive.

    Args:
      mode: "hard" or "soft"; α and β are for "hard".
      alpha_conv, beta_conv: α and β of convolutions, in [0, 1).
      alpha_fc, beta_fc: α and β of Dense layers on vectors.

    Raises:
      ValueError: another mode, or a threshold outside [0, 1).

    Example:
      >>> Relevance(mode="soft").name
      'relevance'
    """

    name: ClassVar[str] = "relevance"
    mode: str = "hard"
    alpha_conv: float = 0.3
    beta_conv: float = 0.2
    alpha_fc: float = 0.4
    beta_fc: float = 0.3

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(
                f"Relevance: mode is {self.mode!r}, expected one of {_MODES}; "
                "'hard' is the paper's."
            )
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if not 0 <= value < 1:
                raise ValueError(
                    f"Relevance: {field.name} is {value}, expected a number "
                    f"from 0 to below 1; the paper's is {field.default}."
                )

    def scores(
        self, problem: Problem
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Scores every channel; see `Method.scores`.

        Raises:
          ValueError: the model has several inputs or no class scores, or its
            values are not finite.
        """
        graph = read_graph(problem.model)
        classifier = find_classifier(problem.model)
        parts = _aggregate(problem, graph, classifier)
        walk = BackWalk(graph)
        walk.give(classifier.call.outputs[0], np.eye(classifier.num_classes))
        for call in reversed(graph.calls):
            part = parts.pop(call.name, None)
            if part is None:
                walk.pass_on(call)
                continue
            outputs = walk.of(call.outputs[0])
            if outputs is not None:
                inputs = self._allocate(call, graph, part.sums, outputs)
                axis = channel_axis(call, len(_shape(graph, call)))
                walk.give(call.inputs[0], inputs, axis)
        found = {"images": len(problem.images), "reset": walk.reset}
        return _by_site(problem, walk), found

    def _allocate(
        self, call: Call, graph: Graph, sums: np.ndarray, outputs: np.ndarray
    ) -> np.ndarray:
        """`(K, P)`: r_p, or 0 below β, of a layer's input channels.

        Args:
          call: of the layer.
          graph: of the network.
          sums: V, `(K, G, U, V)`.
          outputs: `(K, Q)`, relevance of the layer's outputs.
        """
        classes, groups, _, each = sums.shape
        shares = min_max(sums, 2)
        weights = outputs.reshape(classes, groups, each)
        is_vector = len(_shape(graph, call)) == 2
        if self.mode == "hard":
            alpha = self.alpha_fc if is_vector else self.alpha_conv
            shares, weights = shares > alpha, weights > 0
        beta = self.beta_fc if is_vector else self.beta_conv
        allocated = np.einsum(
            "kguv,kgv->kgu",
            shares.astype(np.float32),
            weights.astype(np.float32),
        )
        scaled = min_max(allocated.reshape(classes, -1), 1)
        return scaled * (scaled > beta) if self.mode == "hard" else scaled


def _aggregate(
    problem: Problem, graph: Graph, classifier: Classifier
) -> dict[str, Contributions]:
    """V of every layer that contributes, by the name of its call."""
    name, classes = problem.model.name, len(problem.class_names)
    if len(graph.inputs) != 1:
        raise ValueError(
            f"Model '{name}' has {len(graph.inputs)} inputs, expected one, the "
            "images."
        )
    found: dict[str, Contributions] = {
        call.name: Contributions(call.operation, classes)
        for call in graph.calls
        if contributes(call)
    }
    bar, count = DelayedBar(len(problem.images), "image"), 0
    for images, labels in problem.images:
        _add_batch(found, graph, images, labels)
        count += len(images)
        if problem.progress:
            bar.update(count)
    for layer, part in found.items():
        if not np.isfinite(part.sums).all():
            raise ValueError(
                f"Relevance, model '{name}', layer '{layer}': it has "
                "contributions that are NaN or infinite, expected numbers; "
                "check the weights and the scale of the images."
            )
    return found


def _add_batch(
    found: dict[str, Contributions],
    graph: Graph,
    images: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Runs a batch, and adds what each layer reads to its contributions."""

    def call(step: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if step.name in found:
            inputs = keras.tree.flatten((args, kwargs))[0]
            array = keras.ops.convert_to_numpy(inputs)
            found[step.name].add(array, labels)
        return step.operation(*args, **kwargs)

    replay(graph, [keras.ops.convert_to_tensor(images)], call)


def _by_site(problem: Problem, walk: BackWalk) -> dict[str, np.ndarray]:
    scores = {}
    for site in problem.sites:
        best = np.zeros((site.channels, len(problem.class_names)))
        for place in site.places:
            relevance = walk.of(place.tensor, place.axis)
            if relevance is not None:
                np.maximum.at(best, place.index, relevance.T)
        scores[site.name] = best.T.astype(np.float32)
    return scores


def _shape(graph: Graph, call: Call) -> tuple[int | None, ...]:
    return tuple(graph.tensors[call.inputs[0]].shape)
