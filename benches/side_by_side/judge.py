"""From samples to medians, ratios and verdicts; and the refusal to give a ratio that noise made.

Knows no proxy and no format. A sample is {"value": number, "noise": why it does not count, or ""}.
"""

import statistics
from dataclasses import dataclass

# Processor time of others during a sample, and time stolen by the machine's host, as a share of one
# core. Beyond it the sample does not count.
OTHERS_MAX = 0.05
STEAL_MAX = 0.01

# What no process had of the busy time: interrupts, ways in and out of idleness, and whoever came and
# went within the sample. Where messages are few and each wakes a core, that is a tenth of one.
NOBODY_MAX = 0.20

# How late the generator itself may send one message in a hundred; latency counts from the moment that
# was meant, so its lateness would be the proxy's.
LATE_SECONDS_MAX = 50e-6

# Fewer samples than this that count are no measurement.
SAMPLES_MIN = 3

# Shorter samples cannot be judged: the kernel counts idle time in hundredths of a second.
JUDGED_SECONDS_MIN = 1.0

# Ends and proxies that share cores take turns less evenly.
RATE_SPREAD_MAX = 0.15

DIRECT = "direct"
OURS = "throughway"


@dataclass
class Cell:
    """What is known of one row for one column."""

    median: float
    low: float
    high: float
    # Why no ratio may be built on it; empty when one may.
    doubt: str


def noise_of(result):
    """Why a result of the generator does not count, or nothing."""
    seconds = result["seconds"]
    if seconds < JUDGED_SECONDS_MIN:
        return ""
    if result["steal"] > STEAL_MAX * seconds:
        return f"{100 * result['steal'] / seconds:.0f} % of a core was stolen"
    if result["others_cpu"] > OTHERS_MAX * seconds:
        return f"others used {100 * result['others_cpu'] / seconds:.0f} % of a core"
    if (nobody := result.get("nobody_cpu", 0)) > NOBODY_MAX * seconds:
        return f"{100 * nobody / seconds:.0f} % of a core went to nobody"
    if (late := result.get("late_p99", 0)) > LATE_SECONDS_MAX:
        return f"the generator was {1e6 * late:.0f} µs late"
    return ""


def cell(samples, spread_max):
    """The quiet samples' median; that of all where none is quiet."""
    quiet = [sample["value"] for sample in samples if not sample["noise"]]
    values = quiet or [sample["value"] for sample in samples]
    median = statistics.median(values)
    low, high = min(values), max(values)
    return Cell(median, low, high, _doubt(samples, quiet, low, high, median, spread_max))


def _doubt(samples, quiet, low, high, median, spread_max):
    if len(samples) < SAMPLES_MIN:
        return f"only {len(samples)} of {SAMPLES_MIN} rounds"
    if len(quiet) < SAMPLES_MIN:
        noisy = next(sample["noise"] for sample in samples if sample["noise"])
        return f"only {len(quiet)} quiet rounds of {len(samples)}: {noisy}"
    spread = (high - low) / abs(median) if median else 0
    if spread > spread_max:
        return f"spread {100 * spread:.0f} %"
    return ""


@dataclass
class Verdict:
    """One target of one row: met, missed or not to be told."""

    outcome: str
    words: str


def verdicts(row, cells):
    """`cells` by column."""
    if OURS not in cells:
        return []
    return [_verdict(target, cells) for target in row.targets]


def _verdict(target, cells):
    column, factor = target
    ours = cells[OURS]
    if column is None:
        return _against(ours, factor, f"{factor:,}", {OURS: ours})
    if column == "best":
        peers = {name: c for name, c in cells.items() if name not in (OURS, DIRECT)}
        column = min(peers, key=lambda name: peers[name].median, default=None)
    if column not in cells:
        return Verdict("untold", f"≤ {factor:.2f} × {column or 'the best peer'}: not measured")
    judged = {name: cells[name] for name in (OURS, column, DIRECT) if name in cells}
    return _ratio(ours, cells[column], f"{factor:.2f} × {column}", factor, judged)


def _ratio(ours, theirs, words, factor, judged):
    if doubt := _first_doubt(judged):
        return Verdict("untold", f"≤ {words}: too noisy for a ratio ({doubt})")
    ratio = ours.median / theirs.median
    if ratio <= factor:
        return Verdict("met", f"≤ {words}: met, {ratio:.2f}")
    return Verdict("missed", f"≤ {words}: missed by {100 * (ratio / factor - 1):.0f} %, {ratio:.2f}")


def _against(ours, bound, words, judged):
    if doubt := _first_doubt(judged):
        return Verdict("untold", f"≤ {words}: too noisy to tell ({doubt})")
    if ours.median <= bound:
        return Verdict("met", f"≤ {words}: met")
    return Verdict("missed", f"≤ {words}: missed by {100 * (ours.median / bound - 1):.0f} %")


def _first_doubt(judged):
    doubts = (f"{name}: {cell.doubt}" for name, cell in judged.items() if cell.doubt)
    return next(doubts, "")
