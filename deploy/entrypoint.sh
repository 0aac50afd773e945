#!/bin/sh
# Starts rung in a container. A secret comes in a file, never on the command line and in no manifest:
# RUNG_STORAGE_FILE names the file that has the storage's URL, with its password.
set -eu
if [ -n "${RUNG_STORAGE_FILE:-}" ]; then
    RUNG_STORAGE=$(cat "$RUNG_STORAGE_FILE")
    export RUNG_STORAGE
    unset RUNG_STORAGE_FILE
fi
exec rung "$@"
