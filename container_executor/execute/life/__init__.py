"""The steps in the life of one process; :mod:`container_executor.execute.lifecycle` takes them in their order.

:mod:`assignment` is what all of them work on, :mod:`steps` the journal of how far it has come. Then: :mod:`ready` (from the spec to a
job that can be launched), :mod:`launches` (on the engine, once or again), :mod:`end` (what the end means), :mod:`ending` (results out,
log finished, server told, traces removed).
"""
