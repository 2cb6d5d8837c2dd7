"""The server: OpenAI's shapes over an engine."""
