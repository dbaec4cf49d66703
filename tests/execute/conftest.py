"""A colony on an embedded server, and daemons that a test can kill and restart."""

from daemon_fixtures import colony, daemon, make_daemon, portal

__all__ = ["colony", "daemon", "make_daemon", "portal"]
