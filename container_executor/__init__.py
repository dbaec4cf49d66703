"""Runs the processes of a Colonies server as containers. The public names of the library will be exported here."""
