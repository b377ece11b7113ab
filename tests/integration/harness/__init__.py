"""What the integration tests stand on: namespaces, the daemon, its log, and peers on both sides."""
