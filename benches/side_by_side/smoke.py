"""The benchmark's own test: every measurement runs, every payload verifies, and what would falsify a
number is found out. No number is looked at."""

import subprocess
import time
import unittest

from . import measure, proxies, rows, test_judge
from .generator import Failed, Spoilt


def run(load, kinds, place, cores):
    """The exit code."""
    tests = unittest.defaultTestLoader.loadTestsFromModule(test_judge)
    if not unittest.TextTestRunner().run(tests).wasSuccessful():
        return 1
    for measurement in rows.MEASUREMENTS:
        for kind in kinds:
            if measure.is_for(measurement, kind):
                _step(load, measurement, kind, place, cores)
        if measurement.direct:
            _step(load, measurement, None, place, cores)
    for name in ("echo-ws", "rate-ws", "bulk-ws", "bulk-up-ws"):
        _must_be_found(load, named(name), place)
    _idler_must_be_found(load, place)
    return 0


def named(name):
    return next(measurement for measurement in rows.MEASUREMENTS if measurement.name == name)


def _step(load, measurement, kind, place, cores):
    begun = time.monotonic()
    result = measure.once(load, measurement, measurement.quick, kind, place, cores)
    for row in measurement.rows:
        row.take(result, kind is None)
    label = kind.label if kind else "direct"
    print(f"{measurement.name}, {label}: {time.monotonic() - begun:.1f} s", flush=True)


def _must_be_found(load, measurement, place):
    """Every row rests on the generator noticing what should not be there."""
    here = f"{proxies.HOST}:{place.plain}"
    relay = load.spoil(here, f"{proxies.HOST}:{place.backend}")
    try:
        proxies.wait_until_listening(relay, place.plain)
        target = ["--to", here, "--backend", f"{proxies.HOST}:{place.backend}"]
        load.measure([measurement.command, *target, *measurement.quick])
    except Spoilt as spoilt:
        print(f"{measurement.name}, through a relay that changes bits: found, {spoilt}", flush=True)
        return
    finally:
        relay.terminate()
        relay.wait()
    raise Failed(f"{measurement.name} did not notice that its payload was changed")


def _idler_must_be_found(load, place):
    """The generator once counted nginx's master, which listens before there is a worker, and an echo
    cost nothing. Whoever did no work cannot have been the proxy."""
    measurement = named("echo-ws")
    here = f"{proxies.HOST}:{place.backend}"
    with subprocess.Popen(["sleep", "60"]) as idler:
        try:
            target = ["--to", here, "--backend", here, "--pid", idler.pid]
            load.measure([measurement.command, *target, *measurement.quick])
        except Failed as failed:
            print(f"{measurement.name}, of a process that does nothing: found, {failed}", flush=True)
            return
        finally:
            idler.terminate()
    raise Failed("a process that does nothing was taken for a proxy")
