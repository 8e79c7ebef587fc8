#!/bin/sh
# What a TaskManager starts: one worker, by the Python that the job was submitted with.
PYTHONPATH=$(CDPATH= cd "$(dirname "$0")" && pwd) exec "$BENCH_PYTHON" -m beam_worker "$@"
