"""Transform: raw text to token ids."""
