"""The demo: a page in the browser that asks files questions and shows what the model saw."""
