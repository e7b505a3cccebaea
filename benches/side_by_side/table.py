"""Results as Markdown. Knows how a table looks and nothing of how it came about."""

from . import judge

# What stands around the part of docs/performance.md that a run writes.
BEGIN = "<!-- benches/run writes from here -->"
END = "<!-- to here -->"

MARKS = {"met": "✓", "missed": "✗", "untold": "?"}


def markdown(results, rows, labels):
    """All tables of one run. `results["samples"]` is row → column → samples."""
    cells = {row.name: _cells(results, row) for row in rows}
    measured = [row for row in rows if cells[row.name]]
    judged = [row for row in measured if row.targets]
    told = [row for row in measured if not row.targets]
    parts = [_about(results)]
    if judged:
        parts.append("### Against the targets\n\n" + _table(judged, cells, labels))
        parts.append(_verdicts(judged, cells, labels))
    if told:
        parts.append("### Also measured\n\n" + _table(told, cells, labels))
    if failures := results.get("failures"):
        parts.append("Measurements that failed:\n\n" + "\n".join(f"- {it}" for it in failures))
    return "\n\n".join(parts) + "\n"


def _cells(results, row):
    columns = results["samples"].get(row.name, {})
    return {column: judge.cell(samples, row.spread_max) for column, samples in columns.items()}


def _about(results):
    machine, rounds, cores = results["machine"], results["rounds"], results["cores"]
    versions = ", ".join(f"{label} {version}" for label, version in results["versions"].items())
    shared = " and shares the generator's" if 0 in cores else ""
    lines = [
        f"{machine['date']}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB; {machine['system']}, Linux {machine['kernel']}.",
        f"{versions}.",
        f"Each proxy has {len(cores)} {'core' if len(cores) == 1 else 'cores'}{shared}; "
        f"{rounds} interleaved {'round' if rounds == 1 else 'rounds'}; median (min–max); "
        "smaller is better. *Direct* is what both ends themselves cost without a proxy.",
    ]
    if results.get("busy"):
        lines.append(f"**The machine was in use ({results['busy']}): no ratios.**")
    return "\n".join(lines)


def _table(rows, cells, labels):
    columns = [c for c in labels if any(c in cells[row.name] for row in rows)]
    heads = ["", "unit", *(labels[column] for column in columns)]
    lines = [_line(heads), _line(["---"] * 2 + ["---:"] * len(columns))]
    for row in rows:
        shown = [_shown(cells[row.name].get(column)) for column in columns]
        lines.append(_line([row.title, row.unit, *shown]))
    return "\n".join(lines)


def _line(parts):
    return "| " + " | ".join(parts) + " |"


def _shown(cell):
    if cell is None:
        return "–"
    doubt = " ?" if cell.doubt else ""
    return f"{number(cell.median)} ({number(cell.low)}–{number(cell.high)}){doubt}"


def number(value):
    """Three digits, as a reader wants them."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _verdicts(rows, cells, labels):
    lines = ["Targets, as ratios of medians (`?`: the rounds differ too much for a ratio):", ""]
    for row in rows:
        for verdict in judge.verdicts(row, cells[row.name]):
            words = verdict.words
            for column, label in labels.items():
                words = words.replace(f"× {column}:", f"× {label}:")
            lines.append(f"- {MARKS[verdict.outcome]} {row.title}: {words}")
    return "\n".join(lines)


def put_into(document, table):
    """The document with what stands between the marks replaced."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"
