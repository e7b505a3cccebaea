"""One measurement of one proxy: a fresh process of it, one call of the generator."""

from contextlib import nullcontext

from . import judge, proxies
from .rows import Row

# What a second row of a closed loop says when the cores are shared: how much gets through at all.
THROUGHPUT = {"echo": ("messages", "messages/s"), "connect": ("connections", "sessions/s")}


def once(load, measurement, arguments, kind, place, cores):
    """What the generator counted; `kind` None measures the two ends without a proxy."""
    running = proxies.Running(kind, place, cores) if kind else nullcontext()
    with running as proxy:
        target = _target(measurement, place, proxy)
        return load.measure([measurement.command, *target, *arguments])


def is_for(measurement, kind):
    """Whether the measurement has a column for that kind of proxy."""
    if measurement.only and kind.name not in measurement.only:
        return False
    return not kind.shows or measurement.group in kind.shows


def _target(measurement, place, proxy):
    tls = measurement.listener == "tls"
    to_proxy = place.tls if tls else place.plain
    direct = place.backend_tls if tls else place.backend
    target = {
        "--to": f"{proxies.HOST}:{to_proxy if proxy else direct}",
        "--path": measurement.path,
        "--backend": f"{proxies.HOST}:{place.backend}",
        "--backend-tls": f"{proxies.HOST}:{place.backend_tls}",
        "--cert": place.certs / "cert.pem",
        "--key": place.certs / "key.pem",
    }
    if tls:
        target["--ca"] = place.certs / "ca.pem"
    if proxy:
        target["--pid"] = proxy.pid
    return [word for pair in target.items() for word in pair]


def rows_of(measurement, threads):
    """The rows that a measurement fills."""
    if threads == 1 or measurement.command not in THROUGHPUT:
        return measurement.rows
    counted, unit = THROUGHPUT[measurement.command]
    first = measurement.rows[0]
    rate = Row(
        f"{first.name}-rate",
        f"{first.title}: how many",
        unit,
        lambda result, direct: result[counted] / result["seconds"],
        spread_max=judge.RATE_SPREAD_MAX,
    )
    return (*measurement.rows, rate)
