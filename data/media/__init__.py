"""Opening pictures and PDF pages, with limits."""
