"""Fine-tuning: pruned networks trained on what the full one answers."""

from drnet_tf.finetuning.distillation import finetune
from drnet_tf.finetuning.settings import Distillation

__all__ = ["Distillation", "finetune"]
