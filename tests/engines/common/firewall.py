"""The machine's packet filter and forwarding as an engine found them, to be put back as they were."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

TABLES = ("filter", "nat")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def remember(state: Path) -> None:
    """Keep the rules and the forwarding switch as they are now, once per life of the engine in *state*."""
    kept = state / "firewall.json"
    if not kept.exists():
        rules = {table: _rules(table) for table in TABLES}
        kept.write_text(json.dumps({"rules": rules, "forwarding": FORWARDING.read_text().strip()}))


def put_back(state: Path, *marks: str) -> None:
    """Remove the rules and chains that came since `remember` and contain one of *marks*, and restore forwarding.

    What others added meanwhile stays, as does what was there before.
    """
    if (before := _remembered(state)) is None:
        return
    for table in TABLES:
        new = [rule for rule in _rules(table) if rule not in before["rules"][table]]
        _undo(table, [rule for rule in new if any(mark in rule for mark in marks)])
    if before["forwarding"] == "0":
        FORWARDING.write_text("0")


def put_back_policy(state: Path, chain: str) -> None:
    """Give *chain* of the filter table the policy that it had at `remember`."""
    before = _remembered(state)
    for rule in before["rules"]["filter"] if before else []:
        if rule.startswith(f"-P {chain} "):
            _iptables("filter", *rule.split())


def _remembered(state: Path) -> dict[str, Any] | None:
    """Return what `remember` kept, None where it never ran: then there is nothing to put back."""
    kept = state / "firewall.json"
    return dict(json.loads(kept.read_text())) if kept.exists() else None


def _undo(table: str, rules: list[str]) -> None:
    """Delete *rules*, given as `iptables -S` lists them: first the rules, then the chains that they were in."""
    for rule in rules:
        if rule.startswith("-A "):
            _iptables(table, "-D", *shlex.split(rule)[1:])
    for rule in rules:
        if rule.startswith("-N "):
            _iptables(table, "-X", rule.split()[1])


def add_rule(*rule: str) -> None:
    """Put *rule* first into its chain of the filter table, unless it is there."""
    if subprocess.run(["iptables", "--wait", "-C", *rule], check=False, capture_output=True).returncode != 0:
        _iptables("filter", "-I", *rule)


def _rules(table: str) -> list[str]:
    return _iptables(table, "-S").splitlines()


def _iptables(table: str, *args: str) -> str:
    command = ["iptables", "--wait", "--table", table, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
