"""The life of a process: from the server's assignment to its close, through any backend."""
