"""The guide's step 2: worker files -> data/embeddings.npy, for the library in this folder."""

import sys

import cli

if __name__ == "__main__":
    sys.argv[1:1] = ["merge"]
    cli.main()
