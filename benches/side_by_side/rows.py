"""What is measured, and what it should come to. Knows neither how a proxy is started nor how a table
looks."""

from dataclasses import dataclass

# The machine's scale in each unit, from the generator's seconds and bytes.
MICRO = 1e6
MILLI = 1e3
GIGABYTE = 1e9

ECHO_SECONDS = 5
SESSIONS_MAX = 9000
CONNECTIONS = 6000
STORM = 20000


@dataclass(frozen=True)
class Row:
    """One number of one measurement. A target is (column, factor), or (None, the number itself);
    "best" is the best of the peers."""

    name: str
    title: str
    unit: str
    take: callable
    targets: tuple = ()
    # Spread of the rounds, as a share of their median, beyond which no ratio is printed.
    spread_max: float = 0.10
    smaller_is_better: bool = True


@dataclass(frozen=True)
class Measurement:
    """One call of the generator, and the rows it fills."""

    name: str
    command: str
    arguments: tuple
    rows: tuple
    listener: str = "plain"
    path: str = "/"
    # Seconds it takes, roughly; later ones are estimated from those that are done.
    takes: float = 7
    # The columns it is for; empty: all.
    only: tuple = ()
    direct: bool = True
    group: str = ""
    quick: tuple = ()
    two_threads: bool = False


def _cpu(of, scale, count):
    """Processor time of the proxy for one `of`; of both ends where there is no proxy."""

    def take(result, direct):
        seconds = result["generator_cpu" if direct else "proxy_cpu"]
        return scale * seconds / (result[of] / count)

    return take


def _value(key, scale=1.0):
    return lambda result, direct: scale * result[key]


def _growth(later):
    def take(result, direct):
        return (result[later] - result["memory_before"]) / 1e6

    return take


def _share(of):
    return lambda result, direct: 100 * result[of] / result["connections"]


MESSAGE = _cpu("messages", MICRO, 1)
CONNECTION = _cpu("connections", MICRO, 1)
GIGABYTES = _cpu("bytes", MILLI, GIGABYTE)


def _echo(name, title, connections=64, size=64, idle=0, targets=(), **more):
    many = connections + idle > 1000
    return Measurement(
        name,
        "echo",
        ("--connections", connections, "--size", size, "--idle", idle, "--seconds", ECHO_SECONDS),
        (Row(name, title, "µs a message", MESSAGE, targets),),
        takes=ECHO_SECONDS + (5 if many else 2),
        quick=("--connections", min(connections, 16), "--size", size, "--seconds", 0.5, "--warm", 0),
        **more,
    )


def _connect(name, title, *flags, targets=(), really=None, **more):
    """`really`: what they are said to be, by the generator's word for it and by ours."""
    rows = [Row(name, title, "µs a session", CONNECTION, targets)]
    if really:
        of, words = really
        share = Row(f"{name}-share", f"of these really {words}", "%", _share(of), smaller_is_better=False)
        rows.append(share)
    return Measurement(
        name,
        "connect",
        ("--count", CONNECTIONS, *flags),
        tuple(rows),
        takes=5,
        quick=("--count", 100, "--warm", 10, *flags),
        **more,
    )


def _bulk(name, title, direction, targets=(), **more):
    return Measurement(
        name,
        "bulk",
        ("--direction", direction),
        (Row(name, title, "ms a GB", GIGABYTES, targets),),
        takes=4,
        group="bulk",
        quick=("--direction", direction, "--bytes", 32 << 20),
        **more,
    )


def _idle(name, title, target, **more):
    return Measurement(
        name,
        "idle",
        ("--steps", f"0,1000,2000,5000,{SESSIONS_MAX}"),
        (Row(name, title, "bytes", _value("bytes_per_session"), ((None, target),)),),
        takes=16,
        direct=False,
        quick=("--steps", "0,100,200", "--settle", 0.2),
        **more,
    )


def _left(title, later):
    """Rows of memory that is told, not judged: it is small numbers of megabytes."""
    return Row(f"{title}-{later}", title, "MB", _growth(later), spread_max=0.5)


# What looking at frames costs: the same without.
OPAQUE = {"path": "/opaque/", "only": ("throughway",), "direct": False}

MEASUREMENTS = [
    _echo(
        "echo-ws",
        "ws echo, 64 bytes, 64 sessions",
        targets=(("nginx", 1.00), ("haproxy", 0.88)),
        two_threads=True,
    ),
    _echo(
        "echo-wss",
        "wss echo, 64 bytes, 64 sessions",
        listener="tls",
        targets=(("nginx", 0.90), ("haproxy", 0.75)),
        two_threads=True,
    ),
    _connect(
        "connect-ws",
        "ws connect, upgrade, echo, close",
        targets=(("nginx", 1.00),),
        two_threads=True,
    ),
    _connect(
        "connect-wss",
        "the same over TLS 1.3, P-256, full handshake",
        listener="tls",
        targets=(("nginx", 0.70), ("haproxy", 0.50)),
        two_threads=True,
    ),
    _bulk(
        "bulk-ws",
        "bulk to the client, ws",
        "to-client",
        targets=(("haproxy", 0.50), ("caddy", 0.95)),
    ),
    _bulk(
        "bulk-wss",
        "bulk to the client, wss",
        "to-client",
        listener="tls",
        targets=(("haproxy", 0.40), ("caddy", 0.60)),
    ),
    _idle("idle-ws", "memory of an idle session, ws", 1500),
    _idle("idle-wss", "memory of an idle session, wss", 6000, listener="tls"),
    Measurement(
        "rate-ws",
        "rate",
        ("--connections", 64, "--rate", 10_000, "--seconds", 10, "--warm", 2),
        (
            Row("p50", "10,000 messages/s, ws: p50", "µs", _value("p50", MICRO), spread_max=0.3),
            Row(
                "p99",
                "10,000 messages/s, ws: p99",
                "µs",
                _value("p99", MICRO),
                (("best", 1.00),),
                spread_max=0.3,
            ),
            Row("p999", "10,000 messages/s, ws: p99.9", "µs", _value("p999", MICRO), spread_max=0.5),
        ),
        takes=13,
        quick=("--connections", 16, "--rate", 2000, "--seconds", 0.5, "--warm", 0.1),
    ),
    _connect(
        "resume-wss",
        "the same with a ticket",
        "--resume",
        listener="tls",
        really=("resumed", "resumed"),
    ),
    _bulk("bulk-up-ws", "bulk to the backend, ws", "to-backend"),
    _bulk("bulk-up-wss", "bulk to the backend, wss", "to-backend", listener="tls"),
    _echo("echo-1", "ws echo, 1 session", connections=1),
    _echo("echo-9000", "ws echo, 9,000 sessions", connections=SESSIONS_MAX),
    _echo("echo-beside", "ws echo, 64 sessions beside 8,900 idle ones", idle=8900),
    _echo("echo-1k", "ws echo, 1 KiB", size=1024),
    _echo("echo-16k", "ws echo, 16 KiB", size=16 * 1024),
    _echo("echo-64k", "ws echo, 64 KiB", size=64 * 1024, only=("throughway",), direct=False),
    _echo("echo-opaque", "ws echo, 64 bytes, frames not looked at", **OPAQUE),
    _echo("echo-opaque-64k", "ws echo, 64 KiB, frames not looked at", size=64 * 1024, **OPAQUE),
    _echo("echo-leg", "ws echo, TLS to the backend", path="/tls/", direct=False),
    _connect("connect-leg", "ws connect …, TLS to the backend", path="/tls/", direct=False),
    _connect(
        "connect-hop",
        "ws connect …, through one CONNECT proxy",
        path="/hop/",
        really=("tunnels", "through the proxy"),
        only=("throughway",),
        direct=False,
    ),
    Measurement(
        "storm",
        "connect",
        ("--count", STORM, "--at-once", 64, "--settle", 5),
        (
            _left("memory gained by a storm of 20,000 TLS handshakes", "memory_after"),
            _left("… 5 s later", "memory_settled"),
        ),
        listener="tls",
        takes=25,
        direct=False,
        quick=("--count", 200, "--warm", 10, "--at-once", 32),
    ),
    Measurement(
        "burst",
        "bulk",
        ("--direction", "to-client", "--connections", 256, "--settle", 5),
        (
            _left("memory gained by 1 GiB over 256 TLS sessions", "memory_after"),
            _left("… 5 s later, all still open", "memory_settled"),
        ),
        listener="tls",
        takes=12,
        direct=False,
        quick=("--direction", "to-client", "--connections", 32, "--bytes", 16 << 20),
    ),
]
