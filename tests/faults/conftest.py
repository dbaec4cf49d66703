"""A colony on an embedded server, and daemons that a test can kill, freeze and restart."""

from daemon_fixtures import colony, daemon, make_daemon, portal, proxy

__all__ = ["colony", "daemon", "make_daemon", "portal", "proxy"]
