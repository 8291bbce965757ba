"""From the name of a model to files on this disk and a loaded encoder."""
