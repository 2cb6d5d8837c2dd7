"""Documents drawn by rule, with the questions one can ask of them."""
