//! How forwarding behaves on the wire: a real server, raw Upstreams, all on loopback.
