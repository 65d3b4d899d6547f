"""Run a command and write what it used, as JSON, into a file.  Usage: measured.py FILE COMMAND...

A program of its own, and small: a process begins with the peak memory of the one that started it, so one
started by a large parent would be measured as at least as large.
"""

import json
import os
import sys
import time


def main(report: str, command: list[str]) -> int:
    """The exit status of *command*, negative for a signal."""
    began = time.time()
    process = os.fork()
    if process == 0:
        os.execv(command[0], command)
    _, status, usage = os.wait4(process, 0)
    used = {
        "began": began,
        "ended": time.time(),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "status": os.waitstatus_to_exitcode(status),
    }
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123  # pathlib is half of what this needs
        json.dump(used, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
