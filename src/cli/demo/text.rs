//! What a demo writes: the gateway's configuration, and what to try. Knows no socket.

use std::net::SocketAddr;
use std::path::Path;

use super::{BACKEND_NAME, certificate, proxy};

/// Where everything is.
pub(super) struct Addresses {
    pub(super) port_tls: u16,
    pub(super) port_plain: u16,
    pub(super) has_ipv6: bool,
    pub(super) backend: SocketAddr,
    pub(super) proxy: SocketAddr,
}

/// The configuration of the demo's gateway, as somebody would write it.
pub(super) fn config(addresses: &Addresses) -> String {
    let bind = |port: u16| match addresses.has_ipv6 {
        true => format!(r#"["127.0.0.1:{port}", "[::1]:{port}"]"#),
        false => format!(r#"["127.0.0.1:{port}"]"#),
    };
    let (tls, plain) = (bind(addresses.port_tls), bind(addresses.port_plain));
    let (backend, proxy) = (addresses.backend, addresses.proxy);
    let (user, password) = (proxy::USER, proxy::PASSWORD);
    format!(
        r#"# The configuration of `throughway demo`: real, complete, and gone when the demo ends.
version = 1

[server]
# Open sessions may finish for this long after Ctrl-C; the default is 30 s.
drain = {{ timeout = "2s" }}

[limits]
# A demo is for one person; the default is 50000.
connections = 500

# Where clients come in: with TLS, and without.
[[listener]]
name = "public"
bind = {tls}
tls = {{ min_version = "1.2" }}

[[listener]]
name = "plain"
bind = {plain}

# Made on the spot for this machine's own names.
[[certificate]]
hosts = ["localhost"]
cert = "demo.pem"
key = "demo.key"

# Which request goes where. "same": only pages of the very address that is asked may connect.
[[route]]
name = "direct"
match = {{ path = "/direct" }}
origins = "same"
backend = "echo"

[[route]]
name = "proxied"
match = {{ path = "/proxied" }}
origins = "same"
backend = "echo-proxied"

# The backend, an echo, reached straight …
[backend.echo]
servers = [{{ url = "ws://{backend}" }}]

# … and by a name that only the proxy can resolve.
[backend.echo-proxied]
servers = [{{ url = "ws://{BACKEND_NAME}" }}]
egress = "demo"

# The way out: one CONNECT proxy, which asks for a user and a password.
[egress.demo]
[[egress.demo.hop]]
url = "http://{proxy}"
auth = {{ scheme = "basic", user = "{user}", password = "{password}" }}
"#
    )
}

/// What is printed once the gateway listens: where to go and what to try.
pub fn welcome(
    port_tls: u16,
    port_plain: u16,
    certificate: &certificate::Files,
    config_file: &Path,
) -> String {
    let page_tls = format!("https://localhost:{port_tls}/");
    let page_plain = format!("http://localhost:{port_plain}/");
    let direct = format!("wss://localhost:{port_tls}/direct");
    let proxied = format!("wss://localhost:{port_tls}/proxied");
    let plain = format!("ws://localhost:{port_plain}/…");
    let ca = certificate.ca.display();
    let config_file = config_file.display();
    format!(
        r#"Throughway is running, with an echo backend and a CONNECT proxy of its own.

  In a browser
    {page_tls:<25} its certificate was made just now, so the browser will ask
    {page_plain:<25} the same page without TLS

  The routes
    {direct:<32} client > gateway > echo
    {proxied:<32} client > gateway > CONNECT proxy with password > echo
    {plain:<32} both again, without TLS

  On a command line
    A handshake by hand, answered with 101 Switching Protocols; curl leaves after two seconds:

      curl --include --http1.1 --max-time 2 --cacert {ca} \
        -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' https://localhost:{port_tls}/proxied

    The same for a page from elsewhere, refused with 403: add

        -H 'Origin: https://elsewhere.example'

    A conversation, with whichever of these is at hand:

      npx wscat --connect ws://localhost:{port_plain}/proxied
      websocat ws://localhost:{port_plain}/proxied
      python3 -m websockets ws://localhost:{port_plain}/proxied

  The configuration it runs with: {config_file}

Ctrl-C stops it.
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_and_asks_for_ipv6_only_where_there_is_some() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        for has_ipv6 in [true, false] {
            let config = config(&Addresses {
                port_tls: 8443,
                port_plain: 8080,
                has_ipv6,
                backend: address,
                proxy: address,
            });
            toml::de::DeTable::parse(&config).unwrap();
            assert!(config.contains("\"127.0.0.1:8443\""), "{config}");
            assert!(config.contains("\"127.0.0.1:8080\""), "{config}");
            assert_eq!(config.contains("[::1]"), has_ipv6, "{config}");
        }
    }

    #[test]
    fn the_welcome_names_every_address_and_fits_a_terminal() {
        let files = certificate::Files {
            ca: "/d/ca.pem".into(),
            cert: "/d/demo.pem".into(),
            key: "/d/demo.key".into(),
        };
        let text = welcome(8443, 8080, &files, Path::new("/d/throughway.toml"));
        for part in [
            "https://localhost:8443/ ",
            "http://localhost:8080/ ",
            "wss://localhost:8443/direct",
            "wss://localhost:8443/proxied",
            "--cacert /d/ca.pem",
            "/d/throughway.toml",
            "ws://localhost:8080/proxied",
        ] {
            assert!(text.contains(part), "{part}");
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 96, "{line}");
        }
    }
}
