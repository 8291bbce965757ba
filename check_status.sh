#!/usr/bin/env bash
# The guide's status check, for the library in this folder.
set -euo pipefail
cd "$(dirname "$0")"
exec python cli.py status "$@"
