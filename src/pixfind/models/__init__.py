"""From the name of a model to its files and a loaded encoder."""
