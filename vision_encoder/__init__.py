"""Vision transformers behind one protocol."""
