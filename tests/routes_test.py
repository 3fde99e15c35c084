"""Routes: which channels belong to them, and how two of them meet."""

from __future__ import annotations

import numpy as np
import pytest

from drnet_tf.importance import Cdrps, ChannelImportance
from drnet_tf.masks import union
from drnet_tf.routes import Route, class_route, image_routes, meetings

SCORES = {
    "first": np.array([[0.9, 0.2, 0.0, 0.6], [0.9, 0.7, 0.0, 0.0]]),
    "second": np.array([[0.0, 0.1], [0.0, 0.3]]),
}
CIV = ChannelImportance(SCORES, ("cat", "dog"), "by hand")


def test_a_class_route_is_the_mask_of_the_class_alone():
    # Higher, the mask would keep the best channel of a site without any.
    for threshold in (0.05, 0.1, 0.25):
        route = class_route(CIV, "dog", threshold)
        mask = union(CIV, ("dog",), threshold)
        for site, used in route.channels.items():
            np.testing.assert_array_equal(used, mask.keep[site])
        assert (route.used, route.total) == (mask.kept, mask.total)


def test_images_of_one_name_share_the_mean_of_their_gates():
    gates = np.array([[1.0, 0.0], [0.0, 0.0], [0.4, 0.4]], np.float32)
    cdrps = Cdrps({"relu": gates}, np.zeros(3, bool), np.zeros(3), np.zeros(3))
    cat, dog = image_routes(cdrps, ["cat", "dog", "cat"], 0.3)
    assert (cat.name, dog.name) == ("cat", "dog")
    np.testing.assert_allclose(cat.importance["relu"], [0.7, 0.2])
    assert cat.channels["relu"].tolist() == [True, False]
    assert dog.used == 0


def test_two_routes_meet_in_their_common_channels():
    first, second = (class_route(CIV, x, 0.15) for x in ("cat", "dog"))
    met = meetings(first, second)
    assert [(x.site, x.first, x.both, x.second) for x in met] == [
        ("first", 1, 2, 0),
        ("second", 0, 0, 1),
    ]
    assert met[0].overlap == pytest.approx(2 / 3)
    # 3 and 2 of 4 channels by lot: 1.5 in common, of 3.5 of either.
    assert met[0].chance == pytest.approx(1.5 / 3.5)
    assert met[1].overlap == 0
    back = meetings(second, first)
    assert [x.both for x in back] == [x.both for x in met]
    assert back[0].second == met[0].first


def test_where_neither_route_has_a_channel_nothing_is_shared():
    empty = Route("a", {"relu": np.zeros(3)})
    (met,) = meetings(empty, empty)
    assert (met.overlap, met.chance) == (0, 0)


def test_the_callers_arrays_are_copied():
    values = np.array([1.0, 0.0])
    route = Route("a", {"relu": values})
    values[:] = 0
    assert route.used == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Route("", {"x": [1.0]}), "Route: name is empty"),
        (lambda: Route("a", {}), "Route 'a': got no site, expected"),
        (
            lambda: Route("a", {"x": [[1.0]]}),
            r"Route 'a', site 'x': got an array of shape \(1, 1\), expected",
        ),
        (lambda: Route("a", {"x": [np.nan]}), "site 'x': got NaN or infinite"),
        (lambda: Route("a", {"x": [1.0]}, -1), "threshold: got -1, expected"),
        (lambda: class_route(CIV, "fox"), "unknown class 'fox'"),
        (
            lambda: meetings(Route("a", {"x": [1.0]}), Route("b", {"y": [1]})),
            "Routes 'a' and 'b': their sites and widths differ",
        ),
        (
            lambda: meetings(
                Route("a", {"x": [1.0]}, 0.1), Route("b", {"x": [1.0]}, 0.2)
            ),
            "Routes 'a' and 'b': got the thresholds 0.1 and 0.2, expected one",
        ),
    ],
)
def test_bad_routes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_each_image_has_a_name():
    cdrps = Cdrps({"x": np.ones((2, 1))}, [False] * 2, [0.0] * 2, [1] * 2)
    with pytest.raises(ValueError, match="got 1 names for 2 images"):
        image_routes(cdrps, ["a"])
