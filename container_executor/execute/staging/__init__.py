"""The directories that jobs see: filled from the file system of the colony before a job, stored there after it.

:mod:`directories` has those of one process, from taking them to giving them back, and :mod:`directory` one of them; :mod:`entries`
says what a spec asked for. All processes of a daemon share :mod:`shared`: the store, :mod:`places` (who uses which directory now) and
:mod:`kept` (what lies in each on the disk). :mod:`clear` empties directories, and :mod:`remains` is for what nobody may empty by itself.
"""
