#!/usr/bin/env bash
# The guide's step 1: ./generate_embeddings_optimized.sh [N]. The library is this folder; N workers, else 80 % of the cores.
set -euo pipefail
cd "$(dirname "$0")"
exec python cli.py embed "$@"
