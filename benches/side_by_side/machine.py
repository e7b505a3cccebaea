"""The machine: what it is, and whether anybody else is using it. Knows nothing of what is measured."""

import os
import platform
import resource
import time
from pathlib import Path

# Share of all cores that others may use before a run begins.
BUSY_MAX = 0.05

# What a run with 9,000 sessions needs at each of its programs, and some more.
FILES = 65536


def describe():
    return {
        "cpu": _after_colon("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "kernel": platform.release(),
        "system": _system(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def busy(seconds=3.0):
    """Share of all cores that is in use, or stolen, over the next seconds."""
    total, idle = _ticks()
    time.sleep(seconds)
    total_later, idle_later = _ticks()
    return 1 - (idle_later - idle) / max(1, total_later - total)


def cores_of_proxy(count, others):
    """`count` cores beside the one that is the generator's; where there are not so many, that too."""
    usable = sorted(os.sched_getaffinity(0))
    free = [core for core in usable if core != others]
    return free[:count] if len(free) >= count else usable[:count]


def raise_limits():
    """As many open files as can be had."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (max(FILES, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return
        except (ValueError, OSError):
            continue


def _ticks():
    line = Path("/proc/stat").read_text().splitlines()[0]
    ticks = [int(word) for word in line.split()[1:9]]
    # proc_stat(5): idle and iowait are the fourth and the fifth.
    return sum(ticks), ticks[3] + ticks[4]


def _after_colon(file, key):
    for line in Path(file).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def _system():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"
