"""The program that starts a job, outlives the daemon, and writes down how the job ended.

It is a program of its own: it imports the standard library alone and is run by path, so that it works whatever happens to
the daemon's environment. The daemon shares :mod:`layout <container_executor_process.supervisor.layout>` with it and nothing
else but the files named there.
"""
