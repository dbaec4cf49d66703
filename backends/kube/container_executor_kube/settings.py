"""What a site may choose, in words of its own."""

import enum


class Pull(enum.StrEnum):
    """When nodes pull an image."""

    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"

    @property
    def policy(self) -> str:
        """Return Kubernetes' word for it."""
        return {"always": "Always", "missing": "IfNotPresent", "never": "Never"}[self.value]
