"""The vision-language model, and what is done with it."""
