"""Work that outlives the process: what has been taken on is finished, whatever dies in between.

ledger.py    what work there is, and where it stands: DBOS over SQLite or PostgreSQL
workers.py   the threads that do it, step by step
nodes.py     the processes that share it
entries.py   all work of one name, looked at again and again
office.py    where clips are handed in
feedback.py  what clinicians say of an answer
folder.py    the files of one job, each whole or not there
record.py    an analysis as JSON and back
reading.py   one job's clip, read
"""
