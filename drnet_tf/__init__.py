"""Dissects a trained Keras classifier into small networks for a few classes.

`dissect` learns once how much every channel matters to every class; `DRNet`
then gives the small network of any few classes, exact and made of plain Keras
layers. See README.md for a tour and docs/architecture.md for the house.
"""

from __future__ import annotations

from drnet_tf.assembly import Component, assemble
from drnet_tf.channel_gate import ChannelGate
from drnet_tf.costs import count_costs, count_masked_costs
from drnet_tf.dissection.accuracy_reduction import AccuracyReduction
from drnet_tf.dissection.baselines import (
    BatchNormScale,
    Magnitude,
    MeanActivation,
    Random,
)
from drnet_tf.dissection.cdrp import CDRP
from drnet_tf.dissection.class_masks import ClassMasks
from drnet_tf.dissection.dissect import dissect
from drnet_tf.dissection.frat import FRAT
from drnet_tf.dissection.gates_of_images import learn_cdrps
from drnet_tf.dissection.relevance import Relevance
from drnet_tf.dissection.taylor import Taylor
from drnet_tf.evaluation import Evaluation, evaluate
from drnet_tf.finetuning import Distillation, finetune
from drnet_tf.free_sites import GateSite
from drnet_tf.gates import apply_mask, gate_model
from drnet_tf.importance import Cdrps, ChannelImportance
from drnet_tf.masks import ChannelMask, union, xor
from drnet_tf.pruning import PrunedModel, prune
from drnet_tf.repair import repair
from drnet_tf.sites import gate_sites
from drnet_tf.subtasks import DRNet, SubTask
from drnet_tf.version import VERSION as __version__

__all__ = [
    "AccuracyReduction",
    "BatchNormScale",
    "CDRP",
    "Cdrps",
    "ChannelGate",
    "ChannelImportance",
    "ChannelMask",
    "ClassMasks",
    "Component",
    "DRNet",
    "Distillation",
    "Evaluation",
    "FRAT",
    "GateSite",
    "Magnitude",
    "MeanActivation",
    "PrunedModel",
    "Random",
    "Relevance",
    "SubTask",
    "Taylor",
    "__version__",
    "apply_mask",
    "assemble",
    "count_costs",
    "count_masked_costs",
    "dissect",
    "evaluate",
    "finetune",
    "gate_model",
    "gate_sites",
    "learn_cdrps",
    "prune",
    "repair",
    "union",
    "xor",
]
