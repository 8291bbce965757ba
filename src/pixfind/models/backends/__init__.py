"""The libraries that run a model, one module each."""
