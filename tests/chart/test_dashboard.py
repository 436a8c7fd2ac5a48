"""The dashboard can be drawn: what Grafana asks of a file, without one."""

from __future__ import annotations

from tests.chart.monitoring_objects import dashboard

GRID_COLUMNS = 24


def test_panels_fill_the_grid_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= GRID_COLUMNS
        cells = {
            (column, line)
            for column in range(place["x"], place["x"] + place["w"])
            for line in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len(taken) == GRID_COLUMNS * (1 + max(line for _, line in taken))


def test_panels_have_names_of_their_own() -> None:
    panels = dashboard()["panels"]
    for key in ("id", "title"):
        assert len({panel[key] for panel in panels}) == len(panels)


def test_panels_say_what_they_ask() -> None:
    assert isinstance(dashboard()["schemaVersion"], int)
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["expr"]
            assert target["datasource"]["uid"] == "${datasource}"
