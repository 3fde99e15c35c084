"""Fine-tuning: pruned networks trained on what the full one answers."""

from drnet_tf.finetuning.distillation import Distillation, finetune

__all__ = ["Distillation", "finetune"]
