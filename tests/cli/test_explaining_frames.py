"""``ingestd explain`` of a frame whose file was moved away: since when it is gone."""

from tests.scanned import Scanned


def test_explain_says_since_when_a_file_is_gone(tmp_path):
    place = Scanned(tmp_path)
    path = place.night()[0]
    place.scan()
    assert "gone" not in place.output("explain", path.name)
    path.rename(tmp_path / path.name)
    place.scan()
    (told,) = place.json("explain", path.name)
    assert f"the file is gone since {told['gone_since'][:19]} UTC" in place.output("explain", path.name)
    (tmp_path / path.name).rename(path)
    place.scan()
    (told,) = place.json("explain", path.name)
    assert told["gone_since"] is None
