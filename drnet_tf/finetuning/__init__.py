"""Fine-tuning: pruned networks trained on what the full one answers."""

from drnet_tf.finetuning.distillation import finetune, finetune_all
from drnet_tf.finetuning.settings import Distillation

__all__ = ["Distillation", "finetune", "finetune_all"]
