"""An embedded Colonies server."""
