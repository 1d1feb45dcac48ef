"""ingestd: an observatory ingest daemon. This docstring is the floor plan; nothing is imported here.

The rooms, from the top of the stairs to the bottom; a room imports only from rooms below it::

    __main__.py     python -m ingestd
    cli/            the commands: parse, call, print, exit code
    daemon/         the process: signals, stop flag, the rounds, the single database writer, the notes to systemd
    flow/           the path of a frame: arrive -> look -> submit -> record; recovery; an operator's commands
    web/            /metrics, /live, /ready on a read-only connection of its own
    api/            the typed Python API for people
    jobs/           what a worker executes: measure, combine, reduce, write the product
    simulator/      a synthetic camera of known truth; the demo and the tests use it
    rules/          decisions on records: dialects, clusters, cards (that settings name), groups, matching, planning,
                    screening (pixels against headers), epochs (the hardware changed), coverage (what to take),
                    lacking (why frames make no master),
                    defects (who tells bad pixels), proposing (settings from headers),
                    addresses (the name of all that is made)
    pixels/         arithmetic on arrays: combine, steps, quality, cosmics
    doors/          the outside: fitsfile, catalogue and schema, watcher, executors, control, exporter, store, systemd
    settings/       config.toml -> frozen sections
    metrics.py      the table METRICS
    records/        the values that flow
    errors.py       the exception tree

The path of a frame: a settled path is pre-read and hashed (doors), becomes a FrameRecord (rules), is added to the
catalogue (doors); planning (rules) says which jobs are due: a calibration frame is measured once, a master is combined
from frames that screening let pass, a science frame is reduced; a worker (jobs, pixels) does it and writes an immutable
product; the outcome is recorded in one transaction. Whatever is in memory is a cache.
"""
