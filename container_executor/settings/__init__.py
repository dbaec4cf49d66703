"""The site's configuration: a TOML file, the environment and flags become one frozen value, checked as a whole."""

from container_executor.secret import Secret
from container_executor.settings.load import Examined, examine, find_file, load
from container_executor.settings.model import DEFAULT, Settings, fields, variables
from container_executor.settings.sections import (
    CfsSettings,
    Drain,
    ExecutorSettings,
    HardwareSettings,
    LimitSettings,
    LogFormat,
    ServerSettings,
    SoftwareSettings,
    StoreKind,
)
from container_executor.settings.sources import COMMAND_LINE

__all__ = [
    "COMMAND_LINE",
    "DEFAULT",
    "CfsSettings",
    "Drain",
    "Examined",
    "ExecutorSettings",
    "HardwareSettings",
    "LimitSettings",
    "LogFormat",
    "Secret",
    "ServerSettings",
    "Settings",
    "SoftwareSettings",
    "StoreKind",
    "examine",
    "fields",
    "find_file",
    "load",
    "variables",
]
