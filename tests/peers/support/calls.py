"""Counts the system calls of a running program by strace. Knows nothing of the program."""

import re
import subprocess
import time
from collections import Counter
from pathlib import Path
from signal import SIGINT


class Calls:
    """Counts from its making until `stop`."""

    def __init__(self, process: int, folder: Path) -> None:
        self._log = folder / "calls"
        self._strace = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", self._log, "-p", str(process)]
        )
        # It is attached once the kernel says so of every thread.
        while not all(self._is_traced(task) for task in Path(f"/proc/{process}/task").iterdir()):
            assert self._strace.poll() is None, "strace could not attach"
            time.sleep(0.01)

    def _is_traced(self, task: Path) -> bool:
        return f"TracerPid:\t{self._strace.pid}\n" in (task / "status").read_text()

    def stop(self) -> tuple[Counter[str], Counter[str]]:
        """The calls by name, and those of them that failed."""
        self._strace.send_signal(SIGINT)
        self._strace.wait()
        calls: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for line in self._log.read_text().splitlines():
            # A call that was interrupted by another thread's line is counted where it ends.
            call = re.match(r"\d+\s+(?:<\.\.\. )?(\w+)(?:\(| resumed>).* = (\S+)", line)
            if call:
                calls[call[1]] += 1
                failed[call[1]] += call[2].startswith("-")
        return calls, failed
