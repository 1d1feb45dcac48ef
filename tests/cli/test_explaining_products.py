"""``ingestd explain`` of a product says of which frame it is, and explains that, however the product is named."""

import os

import pytest

from tests.scanned import Scanned


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a scanned night, a light with its product, and the link to that."""
    place = Scanned(tmp_path_factory.mktemp("products"))
    place.night()
    place.scan()
    frame = next(it for it in place.json("frames") if it["kind"] == "light")
    (link,) = [it for it in (place.data / "current").rglob("*.fits") if frame["frame_id"][:8] in it.name]
    return place, frame, link


@pytest.mark.parametrize("way", ["absolute", "below data", "bare", "link", "relative link", "bare link", "address"])
def test_a_product_is_explained_by_its_frame(place, way):
    place, frame, link = place
    product = link.resolve()
    (row,) = place.json("explain", frame["path"])[0]["products"]
    name = {
        "absolute": str(product),
        "below data": str(product.relative_to(place.data)),
        "bare": product.name,
        "link": str(link),
        "relative link": os.path.relpath(link),
        "bare link": link.name,
        "address": row["reduction_id"][:10],
    }[way]
    first, *rest = place.output("explain", name).splitlines()
    assert first == f"{product.relative_to(place.data)} is the current product of this frame:"
    assert rest == place.output("explain", frame["path"]).splitlines()


def test_a_name_that_only_begins_like_a_product_is_none(place):
    place, _, link = place
    assert "not in the catalogue" in place.run("explain", link.name.replace(".fits", "_0.fits")).output
