"""Builds the load generator and the product, and calls the generator. Knows no proxy."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The generator's exit code for a payload that is not what was sent.
SPOILT = 3

# The core of the generator; the proxy gets those after it.
CORE = 0


class Spoilt(Exception):
    """Some byte arrived that was not sent."""


class Failed(Exception):
    """A measurement did not come to its end."""


def build_product():
    _cargo("build", "--locked", "--release", "--bin", "throughway")
    return ROOT / "target/release/throughway"


def build_generator(quick):
    """In the profile of the tests when only its working counts: there it is nearly built."""
    profile = [] if quick else ["--release"]
    messages = _cargo("build", "--locked", "--bench", "load", *profile, "--message-format=json")
    for line in messages.splitlines():
        built = json.loads(line)
        if built.get("target", {}).get("name") == "load" and built.get("executable"):
            return Generator(Path(built["executable"]))
    raise Failed("cargo did not say where it put the generator")


def _cargo(*arguments):
    print("──", "cargo", *arguments, file=sys.stderr, flush=True)
    called = subprocess.run(
        ["cargo", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if called.returncode != 0:
        raise Failed("the build failed")
    return called.stdout


class Generator:
    """The program, on its own core."""

    def __init__(self, program):
        self.program = program

    def certificates(self, folder):
        subprocess.run([self.program, "certificate", folder], check=True)

    def spoil(self, listen, to):
        """A relay that changes bits, running until it is terminated."""
        return subprocess.Popen([self.program, "spoil", "--listen", listen, "--to", to])

    def measure(self, arguments):
        """What the generator counted."""
        command = ["taskset", "-c", str(CORE), str(self.program), *map(str, arguments)]
        called = subprocess.run(command, capture_output=True, text=True, check=False)
        if called.returncode == SPOILT:
            raise Spoilt(called.stderr.strip())
        if called.returncode != 0:
            raise Failed(called.stderr.strip() or f"exit code {called.returncode}")
        return json.loads(called.stdout)
