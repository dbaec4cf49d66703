"""The output of jobs, on its way from the engine to the server's log: in order, whole, once.

It flows one way: :mod:`follow` reads it from the engine, at the pace that :mod:`pace` sets; :mod:`text` makes text of it;
:mod:`excerpt` keeps head and tail of what is too long; :mod:`sending` adds it to the log, with our own lines. :mod:`forward` starts and
ends all that for one process.
"""
