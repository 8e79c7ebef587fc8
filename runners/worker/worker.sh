#!/bin/sh
# What a TaskManager starts: a worker, in the directory and by the Node that the job was submitted with.
here=$(CDPATH= cd "$(dirname "$0")" && pwd)
cd "$BEAMLINE_DIRECTORY" || exit 1
if [ -f "$here/main.js" ]; then exec "${BEAMLINE_NODE:-node}" "$here/main.js" "$@"; fi
tsx=$here/../../node_modules/tsx/dist
exec "${BEAMLINE_NODE:-node}" --require "$tsx/preflight.cjs" --import "file://$tsx/loader.mjs" "$here/main.ts" "$@"
