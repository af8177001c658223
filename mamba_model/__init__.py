"""Mamba, a selective state-space model, in Keras 3. Nothing of TFX is needed here."""
