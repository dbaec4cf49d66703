"""Client of a Colonies server."""
