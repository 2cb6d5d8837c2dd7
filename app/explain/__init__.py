"""Pictures and pages of HTML that show what a model sees."""
