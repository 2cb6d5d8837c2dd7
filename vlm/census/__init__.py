"""What a model is and costs, counted without its weights: `latentvlm inspect` and `plan`."""
