"""A worker knows nothing but its order: what it makes of it, and of an order that the world has overtaken."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from ingestd.jobs import Worker
from ingestd.metrics import METRICS
from ingestd.records import BuildMaster, MeasureFrame, MeasureMaster, ReduceFrame
from tests.flow.observatory import Observatory, settings_for, sha256, tree, write_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A night that was worked off, with every order that was given."""
    settings = settings_for(tmp_path_factory.mktemp("night"))
    worker, jobs = Worker(settings.limits), []

    def note(job):
        jobs.append(job)
        return worker(job)

    place = Observatory(settings, run=note)
    write_night(place.incoming, dawn_darks=3)
    place.settle()
    place.close()
    return place, worker, jobs


def orders(night, kind):
    found = [job for job in night[2] if isinstance(job, kind)]
    assert found
    return found


def copied(job, directory):
    """Return an order to reduce with its raw frame copied to a directory, and its product there."""
    raw = directory / Path(job.member.path).name
    raw.write_bytes(Path(job.member.path).read_bytes())
    member = replace(job.member, path=str(raw))
    return replace(job, member=member, product=str(directory / "out" / Path(job.product).name)), raw


@pytest.mark.parametrize("kind", [MeasureFrame, MeasureMaster, BuildMaster, ReduceFrame])
def test_an_order_repeated_gives_the_same_outcome_and_bytes(night, kind):
    place, worker, _ = night
    for job in orders(night, kind):
        before = tree(place.data)
        first, second = worker(job), worker(job)
        assert replace(first, seconds=0.0) == replace(second, seconds=0.0)
        assert first.status == "done"
        assert {name: what[2] for name, what in tree(place.data).items()} == {n: what[2] for n, what in before.items()}


@pytest.mark.parametrize("kind", [BuildMaster, ReduceFrame])
def test_the_outcome_tells_hash_and_size_of_the_file(night, kind):
    for job in orders(night, kind):
        outcome = night[1](job)
        assert (outcome.sha256, outcome.size_bytes) == (sha256(Path(job.product)), Path(job.product).stat().st_size)


def sent(value):
    """Return what arrives on the other side of a pipe."""
    here, there = multiprocessing.Pipe()
    with here, there:
        here.send(value)
        return there.recv()


def test_every_order_and_outcome_can_be_sent_to_another_process(night):
    for job in night[2]:
        assert sent(job) == job
        outcome = night[1](job)
        assert sent(outcome) == outcome


def test_every_figure_is_declared_and_belongs_to_its_kind(night):
    declared = {row.name: row for row in METRICS}
    for job in night[2]:
        names = [(figure.name, figure.plane) for figure in night[1](job).metrics]
        once = [name for name in names if not name[0].startswith("flat_pair_")]  # of which each pair has its own
        assert len(once) == len(set(once))
        assert {name for name, _ in names} <= set(declared)


def test_figures_of_a_night_are_all_there(night):
    """Figures that need no overscan and no more stars than the small field has, of the right order."""
    found = {type(job): set() for job in night[2]}
    for job in night[2]:
        found[type(job)] |= {figure.name for figure in night[1](job).metrics}
    assert {"row_structure_adu", "column_structure_adu", "frame_noise_adu"} <= found[MeasureFrame]
    assert {
        "row_structure_adu", "column_structure_adu", "read_noise_stack_mean_adu", "read_noise_stack_median_adu",
        "flat_pair_level_adu", "flat_pair_variance_adu2", "flat_curvature_ratio", "flat_signal_to_noise_ratio",
        "lamp_scatter_ratio",
    } <= found[BuildMaster]  # fmt: skip
    assert {"dark_rate_p95_adu_per_second", "dark_rate_p99_adu_per_second", "warm_pixels"} <= found[MeasureMaster]
    assert {
        "sky_noise_to_model_ratio", "sky_row_structure_adu", "sky_column_structure_adu", "detected_sources",
    } <= found[ReduceFrame]  # fmt: skip


def test_an_order_for_a_file_that_was_rewritten_is_given_up(night, tmp_path):
    job, raw = copied(orders(night, ReduceFrame)[-1], tmp_path)
    data = bytearray(raw.read_bytes())
    data[-5000] ^= 1
    raw.write_bytes(bytes(data))
    outcome = night[1](job)
    assert outcome.status == "changed"
    assert list(tmp_path.glob("out/*")) == []


@pytest.mark.parametrize("damage", [lambda raw: raw.unlink(), lambda raw: raw.write_bytes(raw.read_bytes()[:5000])])
def test_an_order_for_a_file_that_is_gone_or_cut_is_given_up(night, tmp_path, damage):
    job, raw = copied(orders(night, ReduceFrame)[-1], tmp_path)
    damage(raw)
    assert night[1](job).status == "changed"
    assert list(tmp_path.glob("out/*")) == []


def test_an_order_for_a_link_is_not_followed(night, tmp_path):
    job, raw = copied(orders(night, ReduceFrame)[-1], tmp_path)
    aside = raw.rename(tmp_path / "aside.fit")
    raw.symlink_to(aside)
    assert night[1](job).status != "done"


def test_an_order_with_a_missing_master_fails_and_names_it(night, tmp_path):
    job, _ = copied(orders(night, ReduceFrame)[-1], tmp_path)
    masters = tuple(replace(master, path=str(tmp_path / "nowhere.fits")) for master in job.member.masters)
    outcome = night[1](replace(job, member=replace(job.member, masters=masters)))
    assert outcome.status == "failed"
    assert "nowhere.fits" in outcome.reason


def test_an_order_with_a_damaged_master_fails_and_names_it(night, tmp_path):
    job, _ = copied(orders(night, ReduceFrame)[-1], tmp_path)
    damaged = tmp_path / "damaged.fits"
    data = bytearray(Path(job.member.masters[0].path).read_bytes())
    data[-3000] ^= 1
    damaged.write_bytes(bytes(data))
    masters = (replace(job.member.masters[0], path=str(damaged)),)
    outcome = night[1](replace(job, member=replace(job.member, masters=masters)))
    assert outcome.status == "failed"
    assert "damaged.fits" in outcome.reason
    assert list(tmp_path.glob("out/*")) == []


def test_a_product_that_cannot_be_written_is_our_fault_and_not_the_frames(night, tmp_path):
    job, _ = copied(orders(night, ReduceFrame)[-1], tmp_path)
    (tmp_path / "out").write_text("a file where the directory should be")
    outcome = night[1](job)
    assert outcome.status == "failed"
    assert outcome.frame_id is None


def test_members_of_different_shape_are_refused_and_no_master_is_written(night, tmp_path):
    job = orders(night, BuildMaster)[0]
    first = job.members[0]
    plane = first.frame.planes[0]
    odd = replace(first, frame=replace(first.frame, planes=(replace(plane, shape=(10, 10)),)))
    outcome = night[1](replace(job, members=(odd, *job.members[1:]), product=str(tmp_path / "m_01234567.fits")))
    assert outcome.status == "rejected"
    assert list(tmp_path.iterdir()) == []


def test_members_in_another_order_give_the_same_bytes(night, tmp_path):
    for job in orders(night, BuildMaster):
        product = tmp_path / Path(job.product).name
        outcome = night[1](replace(job, members=job.members[::-1], product=str(product)))
        assert outcome.status == "done"
        original = Path(job.product).read_bytes()
        assert product.read_bytes() == original, f"{job.group.kind} depends on the order of its members"
