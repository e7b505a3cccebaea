"""A certificate authority and one server certificate, made by openssl on the spot."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ["localhost", "app.test", "evil.test", "backend.test", "proxy.test"]


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; the certificate covers `NAMES` and 127.0.0.1."""

    ca: Path
    cert: Path
    key: Path


def make(folder: Path) -> Certificates:
    """Makes an authority, then a certificate that it signed."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    cert, key = folder / "server.pem", folder / "server.key"
    names = ",".join([f"DNS:{name}" for name in NAMES] + ["IP:127.0.0.1"])
    authority: list[str | Path] = [
        *("-subj", "/CN=Authority of the peers' tests", "-keyout", ca_key, "-out", ca),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    ]
    server: list[str | Path] = [
        *("-subj", "/CN=localhost", "-keyout", key, "-out", cert, "-CA", ca, "-CAkey", ca_key),
        *("-addext", f"subjectAltName={names}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "extendedKeyUsage=serverAuth"),
    ]
    _request(authority)
    _request(server)
    return Certificates(ca, cert, key)


def _request(words: list[str | Path]) -> None:
    fresh = ["openssl", "req", "-x509", "-nodes", "-days", "2"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run([*fresh, *curve, *map(str, words)], check=True, capture_output=True)
