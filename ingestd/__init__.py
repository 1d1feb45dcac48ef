"""ingestd: an observatory ingest daemon. This docstring is the floor plan; nothing is imported here.

The rooms, from the top of the stairs to the bottom; a room imports only from rooms below it::

    __main__.py     python -m ingestd
    cli.py          the commands: parse, call, print, exit code
    daemon.py       the process: signals, stop flag, the tick, the single database writer, sd_notify
    flow.py         the path of a frame: arrive -> plan -> submit -> record
    web/            /metrics, /live, /ready on a read-only connection of its own
    api.py          the typed Python API for people
    jobs.py         what a worker executes: read pixels, compute, write the product
    simulator.py    a synthetic camera of known truth; the demo and the tests use it
    rules/          decisions on records: dialects, groups, matching, planning, coverage
    pixels/         arithmetic on arrays: combine, steps, quality
    doors/          the outside: fitsfile, catalogue, schema, watcher, executors, control, exporter
    settings.py     config.toml -> frozen sections
    metrics.py      the table METRICS
    records.py      the values that flow
    errors.py       the exception tree

The path of a frame: a settled path is pre-read and hashed (doors), becomes a FrameRecord (rules), is added to the
catalogue (doors); planning (rules) says which jobs are due; a worker (jobs, pixels) measures, combines or reduces and
writes an immutable product; the outcome is recorded in one transaction. Whatever is in memory is a cache.
"""
