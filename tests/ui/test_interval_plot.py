"""Intervals on one scale, from which far ones do not take the room."""

from __future__ import annotations

from sap_tui.widgets.interval_plot import Scale

CLOSE = [(1.00, 1.10), (1.05, 1.20), (1.10, 1.30), (1.20, 1.40)]


def test_a_scale_holds_all_intervals_that_are_near() -> None:
    scale = Scale.of(CLOSE, 40)
    for low, high in CLOSE:
        bar = scale.bar(low, (low + high) / 2, high)
        assert len(bar) == 40
        assert bar.index("├") < bar.index("●") < bar.index("┤")


def test_a_far_last_one_is_drawn_as_beyond() -> None:
    scale = Scale.of([*CLOSE, (9.0, 9.5)], 40)
    assert scale.high < 2
    assert scale.bar(9.0, 9.2, 9.5) == " " * 39 + "▸"


def test_the_best_are_high_for_metrics_where_higher_is_better() -> None:
    scale = Scale.of([(-high, -low) for low, high in [*CLOSE, (9.0, 9.5)]], 40)
    assert scale.bar(-9.5, -9.2, -9.0) == "◂" + " " * 39


def test_at_most_a_third_is_left_out() -> None:
    scale = Scale.of([(1.0, 1.1), (5.0, 5.1), (9.0, 9.1)], 40)
    assert scale.high > 9.1
    assert Scale.of([(1.0, 1.01), (1.0, 1.02), (9.0, 9.1)], 40).high < 2


def test_a_single_point_has_a_scale() -> None:
    assert "●" in Scale.of([(2.0, 2.0)], 10).bar(2.0, 2.0, 2.0)
    assert len(Scale.of([], 10).axis()) == 10


def test_the_axis_names_round_values_over_their_cells() -> None:
    scale = Scale.of(CLOSE, 40)
    assert len(scale.axis()) == 40
    for label in scale.axis().split():
        assert scale.axis().index(label) == scale.cell(float(label))
