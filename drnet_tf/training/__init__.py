"""Training: a network of `drnet_tf.models`, or any other, from its start."""

from drnet_tf.training.reports import EpochReport
from drnet_tf.training.settings import Training
from drnet_tf.training.train import TrainedModel, train

__all__ = ["EpochReport", "TrainedModel", "Training", "train"]
