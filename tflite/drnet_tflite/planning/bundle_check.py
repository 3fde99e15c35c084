"""Proves a bundle: what is cut out equals the masked file."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from drnet_tflite.bundles.bundle import Bundle
from drnet_tflite.bundles.selection import Selection
from drnet_tflite.bundles.slicing import cut
from drnet_tflite.native_log import native_log_hidden
from drnet_tflite.planning.file_model import FileModel
from drnet_tflite.planning.groups import Groups
from drnet_tflite.planning.silencing import silence


def random_selection(
    bundle: Bundle, share: float, seed: int, outputs: int | None = None
) -> Selection:
    """Some channels of every group, at least one, and all or some outputs.

    Args:
      bundle: the bundle.
      share: of the channels.
      seed: decides which.
      outputs: number of classes, drawn; None: all, in their order.
    """
    generator = np.random.default_rng(seed)
    kept = []
    for width in bundle.plan.widths:
        keep = generator.random(width) < share
        keep[generator.integers(width)] = True
        kept.append(np.flatnonzero(keep))
    chosen = np.arange(bundle.plan.outputs)
    if outputs is not None:
        chosen = generator.permutation(chosen)[:outputs]
    names = tuple(f"output {x}" for x in chosen)
    return Selection(names, chosen, tuple(kept))


def masked_file(content: bytes, groups: Groups, selection: Selection) -> bytes:
    """The full file with the other channels silenced: the reference.

    Args:
      content: of the file the bundle was made from.
      groups: of that file.
      selection: what is kept.
    """
    file = FileModel(content)
    keep = [np.zeros(width, bool) for width in groups.widths]
    for mask, channels in zip(keep, selection.kept, strict=True):
        mask[channels] = True
    silence(file, groups, keep)
    return file.packed()


def before_softmax(content: bytes) -> bytes:
    """The file that gives the class scores themselves.

    Behind a softmax one score that is large would hide all differences.
    """
    file = FileModel(content)
    sources = [x.inputs[0] for x in file.operators if x.kind == "SOFTMAX"]
    if len(sources) == 1:
        file.set_outputs(sources)
    return file.packed()


def outputs_of(
    content: bytes, images: np.ndarray, *, plain: bool = False
) -> np.ndarray:
    """Runs a file on images one by one, in its own number format.

    Args:
      content: of the file.
      images: of the input's shape.
      plain: with the plain kernels; those for half precision may add in half
        precision, where another order of terms changes the third digit.
    """
    resolver = OpResolverType.AUTO
    if plain:
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with native_log_hidden():
        interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
    (source,), (target,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    outputs = []
    for image in images.astype(source["dtype"]):
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"])[0])
    return np.stack(outputs)


def check_bundle(
    bundle: Bundle,
    content: bytes,
    groups: Groups,
    images: np.ndarray,
    plain: bool,
) -> float:
    """Compares sub-networks of two random masks with the masked file.

    Returns:
      The greatest difference, as a share of the outputs' scale.
    """
    worst = 0.0
    for seed, share in enumerate((0.5, 0.1)):
        selection = random_selection(bundle, share, seed)
        small = before_softmax(cut(bundle.data, bundle.plan, selection))
        found = outputs_of(small, images, plain=plain).astype(np.float64)
        masked = before_softmax(masked_file(content, groups, selection))
        expected = outputs_of(masked, images, plain=plain).astype(np.float64)
        scale = max(float(np.abs(expected).max()), 1e-30)
        worst = max(worst, float(np.abs(found - expected).max()) / scale)
    return worst
