"""The Colonies file system: directories and labels."""
