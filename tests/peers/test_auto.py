"""`egress = "auto"` in networks of its own, with a real resolver, and beside a real gsettings."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.gateway import PROGRAM

NETWORK = Path(__file__).resolve().parent / "programs" / "network.py"
APART = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"]


def probed(folder: Path, search: str, domain: str) -> dict[str, Any]:
    """A probe by `auto`, on a machine with this search list, where a `wpad` is in `domain`."""
    probe = [PROGRAM, "probe", "ws://BACKEND/echo", "--egress", "auto", "--json"]
    clean = ["env", "-i", "PATH=/usr/bin:/bin", *probe]
    ended = subprocess.run(
        ["unshare", *APART, sys.executable, NETWORK, folder, search, domain, *clean],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    told["steps"] = [json.loads(line) for line in told["out"].splitlines()]
    return told


def found(told: dict[str, Any]) -> str:
    return next(step["found"] for step in told["steps"] if step.get("step") == "find")


def test_wpad_is_found_in_the_domain_and_its_proxy_is_gone_through(tmp_path: Path) -> None:
    told = probed(tmp_path, "none.example corp.example", "corp.example")
    assert told["code"] == 0, told
    assert found(told) == "the script http://wpad.corp.example/wpad.dat by WPAD"
    turns = [step["name"] for step in told["steps"] if step["event"] == "turn"]
    assert turns == ["auto/http://proxy.inside.example:3128"]
    assert told["proxied"]
    # Each name as a whole, and the proxy's: no search list has appended anything.
    names = ["proxy.inside.example", "wpad.corp.example", "wpad.none.example"]
    assert [name for name in told["asked"] if name != "chat.inside.example"] == names


def test_a_public_suffix_and_a_parent_are_never_asked(tmp_path: Path) -> None:
    for n, search in enumerate(["co.uk", "corp.co.uk", "uk"]):
        folder = tmp_path / str(n)
        folder.mkdir()
        told = probed(folder, search, "co.uk")
        assert told["code"] == 0, told
        assert found(told) == "direct: nobody names a proxy"
        assert not told["proxied"]
        asked = {name for name in told["asked"] if name.startswith("wpad")}
        assert asked == ({"wpad.corp.co.uk"} if search == "corp.co.uk" else set())


def test_a_real_gsettings_is_asked_and_understood(tmp_path: Path) -> None:
    keys = [
        ("org.gnome.system.proxy mode", "manual"),
        ("org.gnome.system.proxy ignore-hosts", "['localhost', '10.0.0.0/8', \"it's.example\"]"),
        ("org.gnome.system.proxy.http host", "proxy.corp.example"),
        ("org.gnome.system.proxy.http port", "3128"),
        ("org.gnome.system.proxy.https host", "tls.corp.example"),
        ("org.gnome.system.proxy.https port", "3129"),
    ]
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "GSETTINGS_BACKEND": "keyfile",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere",
    }
    for place, value in keys:
        subprocess.run(["gsettings", "set", *place.split(), value], env=env, check=True)
    config = tmp_path / "throughway.toml"
    config.write_text("""
version = 1

[[listener]]
name = "public"
bind = ["127.0.0.1:0"]

[[route]]
name = "table"
backend = "table"

[backend.table]
servers = [{ url = "ws://a.example" }, { url = "wss://b.example" }, { url = "ws://10.1.1.1" }]
egress = "auto"
""")
    words = ["explain", "-c", config, "--host", "a", "--path", "/", "--json"]
    ended = subprocess.run(
        [PROGRAM, *words], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["found_by"] == "GNOME's settings"
    assert [server["why"] for server in told["servers"]] == [
        "through auto: http proxy.corp.example:3128",
        "through auto: http tls.corp.example:3129",
        "direct: no_proxy of auto lets it: 10.0.0.0/8",
    ]
