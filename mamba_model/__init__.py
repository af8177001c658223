"""Mamba, a selective state-space model, in Keras 3 on TensorFlow. Independent of TFX.

from mamba_model import MambaConfig, NextTokenModel, adamw, generate
from mamba_model import load_checkpoint, save_checkpoint

model = NextTokenModel(MambaConfig(vocabulary_size=2000, d_model=192, n_layer=3))
model.compile(adamw(2.5e-3))
model.fit(tokens, targets)                                   # (b, l) int each
tokens, log_probabilities = generate(model, prompts, lengths, max_new_tokens=50)

model = load_checkpoint("mamba-130m-hf")                     # published weights
save_checkpoint(model, "mine")                               # which transformers can read
"""

from mamba_model.backbone import MambaBackbone
from mamba_model.block import MambaBlock
from mamba_model.checkpoints import load_checkpoint, save_checkpoint
from mamba_model.config import MambaConfig
from mamba_model.generation import generate
from mamba_model.models import NextTokenModel, TextClassifier, TextClassifierEnsemble
from mamba_model.residual_block import ResidualBlock
from mamba_model.scan import selective_scan, selective_scan_reference, selective_scan_step
from mamba_model.training_step import CompiledTraining, adamw

__all__ = [
    "CompiledTraining",
    "MambaBackbone",
    "MambaBlock",
    "MambaConfig",
    "NextTokenModel",
    "ResidualBlock",
    "TextClassifier",
    "TextClassifierEnsemble",
    "adamw",
    "generate",
    "load_checkpoint",
    "save_checkpoint",
    "selective_scan",
    "selective_scan_reference",
    "selective_scan_step",
]
