"""Runs Beam's Python job service at the port that it is given, until whoever started it closes its input."""

import os
import sys
import threading

from apache_beam.runners.portability import local_job_service_main


def end_with_us():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_us, daemon=True).start()
    local_job_service_main.run(["--port", sys.argv[1]])
