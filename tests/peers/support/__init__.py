"""What the tests stand on: processes, certificates, the gateway, clients, backends and proxies."""
