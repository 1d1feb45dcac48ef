r"""Every table, index and view of the first version, and what they mean.

Times are ISO-8601 UTC text of fixed width (``2026-01-02T03:04:05.678Z``), so that they sort; nights are dates. Names of
files are text in which control characters, backslashes and bytes that are not UTF-8 stand as ``\xNN``.

A row is a fact, never an intention. ``stale`` marks what planning must look at again: a frame or a dark master whose
inputs changed, a night whose frames changed. ``current`` marks the one valid master or product among its revisions.
``setup`` is a configuration without its window, computed from it: frames of one set-up calibrate each other in parts.
Each index serves one question that the daemon asks on every tick; those on stale rows hold nothing when all is quiet.
"""

TABLES_OF_FRAMES = (
    # One row for each content. takes_part: it is to be measured or reduced; live: a sighting of it still stands.
    # screened: the reason code of the verdict on its pixels, '' if they are good, NULL if none was given; decision: the
    # operator's word in force, accepted or rejected; reference_id, pedestal_id: the masters it was judged by, or ''.
    """CREATE TABLE frames (
        frame_id TEXT PRIMARY KEY,
        data_sha256 TEXT NOT NULL,
        kind TEXT NOT NULL,
        label TEXT NOT NULL,
        kind_source TEXT NOT NULL,
        camera TEXT NOT NULL,
        configuration TEXT NOT NULL,
        setup TEXT NOT NULL GENERATED ALWAYS AS (substr(configuration, 1, max(instr(configuration, ' @ ') - 1, 0))),
        exposure_s REAL,
        ccd_temp_c REAL,
        set_temp_c REAL,
        filter_name TEXT,
        object_name TEXT,
        obs_start TEXT,
        night TEXT,
        gain_e_per_adu REAL,
        read_noise_e REAL,
        saturation_adu REAL,
        dialect TEXT NOT NULL,
        container TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        flags TEXT NOT NULL,
        notes TEXT NOT NULL,
        sources TEXT NOT NULL,
        configuration_json TEXT NOT NULL,
        group_filter TEXT NOT NULL,
        cards TEXT NOT NULL,
        takes_part INTEGER NOT NULL,
        live INTEGER NOT NULL DEFAULT 1,
        measured INTEGER NOT NULL DEFAULT 0,
        measured_job TEXT,
        screened TEXT,
        findings TEXT,
        reference_id TEXT,
        pedestal_id TEXT,
        decision TEXT,
        stale INTEGER NOT NULL DEFAULT 0,
        retry_at TEXT,
        again_at TEXT,
        superseded_by TEXT REFERENCES frames (frame_id),
        explanation TEXT,
        first_seen TEXT NOT NULL,
        changed_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE planes (
        frame_id TEXT NOT NULL REFERENCES frames (frame_id) ON DELETE CASCADE,
        plane_index INTEGER NOT NULL,
        name TEXT NOT NULL,
        ny INTEGER NOT NULL,
        nx INTEGER NOT NULL,
        bitpix INTEGER NOT NULL,
        bzero REAL,
        bscale REAL,
        blank INTEGER,
        data_offset INTEGER NOT NULL,
        encoding TEXT NOT NULL,
        overscan TEXT,
        trim TEXT,
        gain_e_per_adu REAL,
        read_noise_e REAL,
        channels TEXT NOT NULL,
        PRIMARY KEY (frame_id, plane_index)
    ) STRICT, WITHOUT ROWID""",
    # The sightings of one path in time are its versions; at most one of them stands.
    """CREATE TABLE sightings (
        sighting_id INTEGER PRIMARY KEY,
        path TEXT NOT NULL,
        file_name TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        first_seen TEXT NOT NULL,
        last_seen TEXT NOT NULL,
        gone_at TEXT,
        frame_id TEXT NOT NULL REFERENCES frames (frame_id)
    ) STRICT""",
    # Files still arriving: not frames yet.
    """CREATE TABLE arrivals (
        path TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        first_seen TEXT NOT NULL,
        next_look TEXT NOT NULL
    ) STRICT""",
)

TABLES_OF_MASTERS = (
    # Each group and night that brought frames to it; filter_name is '' for bias, dark and a flat without filter.
    # chart: what the raw biases or darks show of the hardware (JSON), charted: whether that is up to date.
    """CREATE TABLE nights (
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        configuration TEXT NOT NULL,
        setup TEXT NOT NULL GENERATED ALWAYS AS (substr(configuration, 1, max(instr(configuration, ' @ ') - 1, 0))),
        filter_name TEXT NOT NULL,
        night TEXT NOT NULL,
        stale INTEGER NOT NULL,
        touched_at TEXT NOT NULL,
        charted INTEGER NOT NULL DEFAULT 0,
        chart TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (camera, kind, configuration, filter_name, night)
    ) STRICT, WITHOUT ROWID""",
    # measured_with: the bias master against which a dark master was last measured. compared_with: the master of the
    # previous night, comparison what it says; grade is the worse of both grades. order_json: what its order said
    # beyond its members and parents, so that it can be built once more. provenance: built, or external.
    """CREATE TABLE masters (
        master_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        camera TEXT NOT NULL,
        configuration TEXT NOT NULL,
        setup TEXT NOT NULL GENERATED ALWAYS AS (substr(configuration, 1, max(instr(configuration, ' @ ') - 1, 0))),
        exposure_s REAL,
        ccd_temp_c REAL,
        filter_name TEXT,
        night TEXT NOT NULL,
        first_obs TEXT NOT NULL,
        last_obs TEXT NOT NULL,
        member_count INTEGER NOT NULL,
        count_grade TEXT NOT NULL,
        comparison_grade TEXT,
        comparison TEXT,
        grade TEXT NOT NULL GENERATED ALWAYS AS (CASE
            WHEN 'red' IN (count_grade, ifnull(comparison_grade, '')) THEN 'red'
            WHEN 'orange' IN (count_grade, ifnull(comparison_grade, '')) THEN 'orange'
            WHEN 'yellow' IN (count_grade, ifnull(comparison_grade, '')) THEN 'yellow'
            ELSE count_grade END),
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        cards TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        current INTEGER NOT NULL DEFAULT 0,
        stale INTEGER NOT NULL DEFAULT 0,
        measured_with TEXT REFERENCES masters (master_id),
        compared_with TEXT REFERENCES masters (master_id),
        measured_job TEXT,
        decision TEXT,
        valid_from TEXT,
        valid_until TEXT,
        provenance TEXT NOT NULL DEFAULT 'built',
        order_json TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL,
        pruned_at TEXT
    ) STRICT""",
    """CREATE TABLE members (
        master_id TEXT NOT NULL REFERENCES masters (master_id),
        position INTEGER NOT NULL,
        frame_id TEXT NOT NULL REFERENCES frames (frame_id),
        PRIMARY KEY (master_id, position)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE parents (
        master_id TEXT NOT NULL REFERENCES masters (master_id),
        position INTEGER NOT NULL,
        parent_id TEXT NOT NULL REFERENCES masters (master_id),
        PRIMARY KEY (master_id, position)
    ) STRICT, WITHOUT ROWID""",
)

TABLES_OF_PRODUCTS = (
    # order_json: as of masters. better_possible: what would be better, in words. again: why it was reduced again.
    # doubt: why its masters may be of other hardware than the frame.
    """CREATE TABLE reductions (
        reduction_id TEXT PRIMARY KEY,
        frame_id TEXT NOT NULL REFERENCES frames (frame_id),
        night TEXT,
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        provisional INTEGER NOT NULL,
        better_possible TEXT NOT NULL,
        again TEXT NOT NULL,
        current INTEGER NOT NULL,
        gain_e_per_adu REAL,
        gain_source TEXT NOT NULL,
        doubt TEXT NOT NULL DEFAULT '',
        order_json TEXT NOT NULL DEFAULT '',
        created_at TEXT NOT NULL,
        pruned_at TEXT
    ) STRICT""",
    """CREATE TABLE used_masters (
        reduction_id TEXT NOT NULL REFERENCES reductions (reduction_id),
        kind TEXT NOT NULL,
        master_id TEXT NOT NULL REFERENCES masters (master_id),
        how TEXT NOT NULL,
        age_h REAL,
        delta_temp_c REAL,
        exposure_ratio REAL,
        cut TEXT,
        PRIMARY KEY (reduction_id, kind)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE steps (
        reduction_id TEXT NOT NULL REFERENCES reductions (reduction_id),
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (reduction_id, position)
    ) STRICT, WITHOUT ROWID""",
    # From camera on: the master that could not be built, NULL for other jobs.
    """CREATE TABLE failures (
        job_id TEXT PRIMARY KEY,
        frame_id TEXT REFERENCES frames (frame_id),
        master_group TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        deaths INTEGER NOT NULL,
        next_try TEXT,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        final INTEGER NOT NULL,
        camera TEXT,
        kind TEXT,
        configuration TEXT,
        setup TEXT GENERATED ALWAYS AS (substr(configuration, 1, max(instr(configuration, ' @ ') - 1, 0))),
        filter_name TEXT,
        exposure_s REAL,
        night TEXT
    ) STRICT""",
    # What operators said of a frame, a master or a break of epochs (camera, setup, night; other_night: where it was
    # moved to, or the last night of the old epoch), all of it; the newest word on each is in force.
    """CREATE TABLE decisions (
        decision_id INTEGER PRIMARY KEY,
        time TEXT NOT NULL,
        decision TEXT NOT NULL,
        frame_id TEXT REFERENCES frames (frame_id),
        master_id TEXT REFERENCES masters (master_id),
        reason TEXT NOT NULL,
        camera TEXT,
        setup TEXT,
        night TEXT,
        other_night TEXT
    ) STRICT""",
    # Boundaries of hardware epochs: night is the first of the new epoch, after_night the last seen of the old one.
    # status: detected, suspected, confirmed, moved, set, undone; only those suspected or undone close nothing.
    """CREATE TABLE breaks (
        camera TEXT NOT NULL,
        setup TEXT NOT NULL,
        night TEXT NOT NULL,
        after_night TEXT NOT NULL,
        status TEXT NOT NULL,
        cause TEXT NOT NULL,
        reason TEXT NOT NULL,
        noted_at TEXT NOT NULL,
        PRIMARY KEY (camera, setup, night)
    ) STRICT, WITHOUT ROWID""",
    # Jobs that workers hold (is_out), and the deaths of the daemon in a row beside them.
    """CREATE TABLE flights (
        job_id TEXT PRIMARY KEY,
        frame_id TEXT REFERENCES frames (frame_id),
        is_out INTEGER NOT NULL DEFAULT 1,
        deaths INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE events (
        event_id INTEGER PRIMARY KEY,
        time TEXT NOT NULL,
        level TEXT NOT NULL,
        event TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
)

TABLES_OF_QUALITY = (
    # What the last run worked with, for example a digest of its settings.
    """CREATE TABLE remembered (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT""",
    # One row for each line of figures in a plot; it makes "the newest of each" a look-up.
    """CREATE TABLE series (
        series_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        filter_name TEXT NOT NULL,
        plane INTEGER NOT NULL,
        channel TEXT NOT NULL,
        UNIQUE (name, camera, kind, filter_name, plane, channel)
    ) STRICT""",
    # Every measured quality figure; time is the observation's. current: of the master or product that counts now.
    """CREATE TABLE metrics (
        metric_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        value REAL NOT NULL,
        error REAL,
        unit TEXT NOT NULL,
        plane INTEGER,
        channel TEXT NOT NULL,
        frame_id TEXT REFERENCES frames (frame_id),
        master_id TEXT REFERENCES masters (master_id),
        job_id TEXT NOT NULL,
        camera TEXT NOT NULL,
        configuration TEXT NOT NULL,
        setup TEXT NOT NULL GENERATED ALWAYS AS (substr(configuration, 1, max(instr(configuration, ' @ ') - 1, 0))),
        kind TEXT NOT NULL,
        filter_name TEXT,
        night TEXT,
        time TEXT,
        current INTEGER NOT NULL,
        series_id INTEGER NOT NULL REFERENCES series (series_id)
    ) STRICT""",
)

INDEXES = (
    # due
    """CREATE INDEX frames_to_measure ON frames (stale, obs_start, frame_id)
        WHERE stale = 1 AND live = 1 AND kind <> 'light'""",
    """CREATE INDEX frames_to_reduce ON frames (stale, obs_start, frame_id)
        WHERE stale = 1 AND live = 1 AND kind = 'light'""",
    """CREATE INDEX frames_delayed ON frames (again_at)
        WHERE again_at IS NOT NULL AND stale = 1 AND live = 1""",
    """CREATE INDEX frames_unmeasured ON frames (camera, setup)
        WHERE stale = 1 AND live = 1 AND kind <> 'light'""",
    "CREATE INDEX nights_stale ON nights (stale, touched_at) WHERE stale = 1",
    "CREATE INDEX nights_uncharted ON nights (camera, setup) WHERE charted = 0 AND kind <> 'flat'",
    "CREATE INDEX nights_setup ON nights (camera, kind, setup, night)",
    "CREATE INDEX masters_stale ON masters (stale, last_obs, master_id) WHERE stale = 1",
    # frames
    "CREATE INDEX frames_usable ON frames (camera, kind, configuration, group_filter, night) WHERE measured = 1",
    "CREATE INDEX frames_reducible ON frames (camera, configuration, night) WHERE kind = 'light' AND takes_part = 1",
    "CREATE INDEX frames_setup ON frames (camera, setup, night) WHERE kind = 'light' AND takes_part = 1",
    "CREATE INDEX frames_data ON frames (data_sha256)",
    "CREATE INDEX frames_obs ON frames (obs_start)",
    "CREATE INDEX frames_night ON frames (night)",
    "CREATE INDEX frames_state ON frames (state, reason, kind, camera)",
    "CREATE INDEX frames_superseded ON frames (superseded_by) WHERE superseded_by IS NOT NULL",
    # sightings
    "CREATE UNIQUE INDEX sightings_standing ON sightings (path) WHERE gone_at IS NULL",
    "CREATE INDEX sightings_path ON sightings (path)",
    "CREATE INDEX sightings_file_name ON sightings (file_name)",
    "CREATE INDEX sightings_frame ON sightings (frame_id)",
    # masters
    """CREATE INDEX masters_current ON masters (camera, configuration, kind, last_obs, master_id)
        WHERE current = 1 AND pruned_at IS NULL""",
    """CREATE INDEX masters_setup ON masters (camera, setup, kind, last_obs, master_id)
        WHERE current = 1 AND pruned_at IS NULL""",
    "CREATE INDEX masters_night ON masters (camera, kind, configuration, filter_name, night)",
    "CREATE INDEX masters_superseded ON masters (current) WHERE current = 0 AND pruned_at IS NULL",
    "CREATE INDEX masters_measured_with ON masters (measured_with) WHERE measured_with IS NOT NULL",
    "CREATE INDEX members_frame ON members (frame_id)",
    "CREATE INDEX parents_parent ON parents (parent_id)",
    # products
    "CREATE INDEX reductions_frame ON reductions (frame_id, current)",
    "CREATE INDEX reductions_superseded ON reductions (current, frame_id) WHERE current = 0 AND pruned_at IS NULL",
    "CREATE INDEX reductions_night ON reductions (night, size_bytes) WHERE pruned_at IS NULL",
    "CREATE INDEX used_masters_master ON used_masters (master_id)",
    "CREATE INDEX failures_frame ON failures (frame_id)",
    "CREATE INDEX decisions_frame ON decisions (frame_id) WHERE frame_id IS NOT NULL",
    "CREATE INDEX decisions_master ON decisions (master_id) WHERE master_id IS NOT NULL",
    "CREATE INDEX decisions_epoch ON decisions (camera, setup) WHERE setup IS NOT NULL",
    "CREATE INDEX flights_deaths ON flights (deaths)",
    # figures
    "CREATE INDEX metrics_series ON metrics (series_id, time, metric_id) WHERE current = 1",
    "CREATE INDEX metrics_time ON metrics (time, metric_id) WHERE current = 1",
    """CREATE INDEX metrics_gain ON metrics (camera, setup, night)
        WHERE current = 1 AND name = 'gain_electrons_per_adu' AND kind = 'flat'""",
    "CREATE INDEX metrics_frame ON metrics (frame_id)",
    "CREATE INDEX metrics_master ON metrics (master_id)",
)

VIEWS = (
    """CREATE VIEW frame_list AS
    SELECT f.frame_id,
        (SELECT s.path FROM sightings s WHERE s.frame_id = f.frame_id
            ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1) AS path,
        f.kind, f.kind_source, f.state, f.reason, f.camera, f.exposure_s, f.ccd_temp_c, f.filter_name, f.obs_start,
        (SELECT r.path FROM reductions r WHERE r.frame_id = f.frame_id AND r.current = 1 AND r.pruned_at IS NULL)
            AS product
    FROM frames f
    UNION ALL
    SELECT NULL, path, NULL, NULL, 'waiting', reason, NULL, NULL, NULL, NULL, NULL, NULL FROM arrivals""",
    """CREATE VIEW master_list AS
    SELECT master_id, kind, camera, configuration, exposure_s, ccd_temp_c, filter_name, member_count AS members, grade,
        path, current
    FROM masters WHERE pruned_at IS NULL""",
    """CREATE VIEW qa_list AS
    SELECT name AS metric, value, unit, error, camera, kind, filter_name, plane, channel, frame_id, master_id, time
    FROM metrics WHERE current = 1""",
    """CREATE VIEW current_masters AS
    SELECT master_id, kind, camera, configuration, exposure_s, ccd_temp_c, filter_name, night, first_obs, last_obs,
        member_count AS members, grade, path, sha256
    FROM masters WHERE current = 1 AND pruned_at IS NULL""",
    """CREATE VIEW qa_latest AS
    SELECT m.name AS metric, m.value, m.unit, m.error, m.camera, m.kind, m.filter_name, m.plane, m.channel,
        m.frame_id, m.master_id, m.time
    FROM series s JOIN metrics m ON m.metric_id = (
        SELECT metric_id FROM metrics WHERE series_id = s.series_id AND current = 1
        ORDER BY time DESC, metric_id DESC LIMIT 1)""",
    """CREATE VIEW last_night AS
    SELECT f.night, f.obs_start, f.kind, f.camera, f.object_name, f.filter_name, f.exposure_s, f.ccd_temp_c, f.state,
        f.reason, f.detail, f.frame_id
    FROM frames f
    WHERE f.night = (SELECT night FROM frames WHERE night IS NOT NULL AND flags NOT LIKE '%"future_date"%'
        ORDER BY night DESC LIMIT 1)""",
    """CREATE VIEW uncalibrated AS
    SELECT f.frame_id,
        (SELECT s.path FROM sightings s WHERE s.frame_id = f.frame_id
            ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1) AS path,
        f.state, f.reason, f.detail, f.camera, f.configuration, f.exposure_s, f.ccd_temp_c, f.filter_name, f.obs_start,
        f.night
    FROM frames f
    WHERE f.kind = 'light' AND f.state IN ('waiting', 'provisional', 'failed')""",
)
