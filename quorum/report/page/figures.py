"""Figures: plotly charts in one calm style, for light and dark.

Colours are those of Okabe and Ito, which the colour-blind can tell apart. A figure is drawn in
the light ones; the page exchanges them, and puts in fonts and grid, when it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from quorum.evidence.bootstrap import Interval
from quorum.evidence.forecasts import Reliability
from quorum.report.page.blocks import date
from quorum.typing import Floats, Ints

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

N = TypeVar("N", bound=np.generic)

#: What the run did and what is good; what is bad; what it is held against; further series.
RUN = GOOD = "#0072B2"
BAD = "#D55E00"
OTHER = "#8A8F98"
THIRD = "#009E73"
FOURTH = "#CC79A7"
#: Points of a line at most: a page is some thousand pixels wide.
POINTS = 2400


def _figure(**layout: Any) -> Figure:
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.update_layout(
        **{"template": "none", "showlegend": False, "hovermode": "closest", **layout}
    )
    return figure


def _dates(time: Ints) -> list[str]:
    return [date(ms, clock=True) for ms in time]


def _thin(series: Floats, step: int, reduce: Any) -> Floats:
    """Reduce every ``step`` values to one."""
    edges = np.arange(0, len(series), step)
    return np.asarray(reduce.reduceat(series, edges), dtype=np.float32)


def _every(series: NDArray[N], step: int) -> NDArray[N]:
    """Return the last of every ``step`` values."""
    ends = np.minimum(np.arange(0, len(series), step) + step - 1, len(series) - 1)
    return series[ends]


def equity_figure(
    time: Ints, equity: Floats, lost: Floats, held: Floats | None, held_name: str
) -> Figure:
    """Draw the equity over its drawdown, with what it is held against (all in percent)."""
    from plotly.graph_objects import Scatter

    step = max(1, -(-len(time) // POINTS))
    dates = _dates(_every(time, step))
    figure = _figure(
        yaxis={"domain": [0.36, 1.0], "ticksuffix": " %", "title": {"text": "profit"}},
        yaxis2={
            "domain": [0.0, 0.28], "ticksuffix": " %", "rangemode": "tozero",
            "title": {"text": "drawdown"},
        },
        xaxis={"anchor": "y2"},
    )  # fmt: skip
    if held is not None:
        figure.add_trace(
            Scatter(
                x=dates, y=np.float32(_every(held, step)), name=held_name, mode="lines",
                line={"color": OTHER, "width": 1}, hovertemplate="%{y:.2f} %",
            )
        )  # fmt: skip
    figure.add_trace(
        Scatter(
            x=dates, y=np.float32(_every(equity, step)), name="this run", mode="lines",
            line={"color": RUN, "width": 1.6}, hovertemplate="%{y:.2f} %",
        )
    )  # fmt: skip
    figure.add_trace(
        Scatter(
            x=dates, y=-_thin(lost, step, np.maximum), name="drawdown", mode="lines", yaxis="y2",
            line={"color": BAD, "width": 1}, fill="tozeroy", hovertemplate="%{y:.2f} %",
            fillcolor=f"rgba{(*bytes.fromhex(BAD[1:]), 0.25)}", showlegend=False,
        )
    )  # fmt: skip
    figure.update_layout(hovermode="x unified", showlegend=held is not None)
    return figure


def lines_figure(
    time: Ints,
    series: Sequence[tuple[str, Floats, str]],
    suffix: str = "",
    title: str = "",
    *,
    filled: bool = False,
) -> Figure:
    """Draw series over time: name, values, colour; ``filled`` down to zero."""
    from plotly.graph_objects import Scatter

    step = max(1, -(-len(time) // POINTS))
    dates = _dates(_every(time, step))
    figure = _figure(yaxis={"ticksuffix": suffix, "title": {"text": title}})
    for name, values, colour in series:
        figure.add_trace(
            Scatter(
                x=dates, y=np.float32(_every(values, step)), name=name, mode="lines",
                line={"color": colour, "width": 1.3}, hovertemplate=f"%{{y:.2f}}{suffix}",
                fill="tozeroy" if filled else "none",
                fillcolor=f"rgba{(*bytes.fromhex(colour[1:]), 0.25)}",
            )
        )  # fmt: skip
    figure.update_layout(hovermode="x unified", showlegend=len(series) > 1)
    return figure


def promise_figure(
    curve: Reliability, x_title: str, y_title: str = "won", before: Reliability | None = None
) -> Figure:
    """Draw realised against promised rates with intervals; the diagonal is a promise kept.

    ``before`` is drawn in grey behind it, for example the same before calibration.
    """
    from plotly.graph_objects import Scatter

    promised, realised, low, high = curve.promised, curve.realised, curve.low, curve.high
    across = promised if before is None else np.concatenate([promised, before.promised])
    up = np.concatenate([low, high, promised])
    if before is not None:
        up = np.concatenate([up, before.realised])
    figure = _figure(
        xaxis={"range": [100 * max(-0.02, np.min(across) - 0.05), 100 * (np.max(across) + 0.05)],
               "ticksuffix": " %", "title": {"text": x_title}},
        yaxis={"range": [100 * max(-0.02, np.min(up) - 0.04), 100 * (np.max(up) + 0.04)],
               "ticksuffix": " %", "title": {"text": y_title}},
        showlegend=before is not None,
    )  # fmt: skip
    figure.add_trace(
        Scatter(
            x=[0, 100], y=[0, 100], mode="lines", line={"color": OTHER, "width": 1, "dash": "dot"},
            hoverinfo="skip", name="promise kept",
        )
    )  # fmt: skip
    if before is not None:
        figure.add_trace(
            Scatter(
                x=100 * before.promised, y=100 * before.realised, mode="lines+markers",
                name="before calibration", line={"color": OTHER, "width": 1},
                marker={"color": OTHER, "size": 6, "symbol": "circle-open"},
                customdata=before.count,
                hovertemplate="before calibration: promised %{x:.1f} %, came true %{y:.1f} %, "
                "%{customdata} cases<extra></extra>",
            )
        )  # fmt: skip
    figure.add_trace(
        Scatter(
            x=100 * promised, y=100 * realised, mode="markers", name="calibrated",
            marker={"color": RUN, "size": 8}, customdata=curve.count,
            error_y={
                "type": "data", "symmetric": False, "array": 100 * (high - realised),
                "arrayminus": 100 * (realised - low), "color": RUN, "thickness": 1.2, "width": 3,
            },
            hovertemplate="promised %{x:.1f} %, came true %{y:.1f} %, %{customdata} cases"
            "<extra></extra>",
        )
    )  # fmt: skip
    return figure


def points_figure(
    panels: Sequence[tuple[str, Floats, Floats, Floats]],
    names: Sequence[str],
    *,
    shared: bool = True,
) -> Figure:
    """Draw estimates with intervals side by side: title, estimate, low, high by name.

    ``shared`` panels have one scale.
    """
    from plotly.graph_objects import Scatter

    figure = _figure()
    width = 1.0 / len(panels)
    for i, (title, value, low, high) in enumerate(panels):
        drawn = [part for panel in (panels if shared else [panels[i]]) for part in panel[1:]]
        reach = float(np.nanmax(np.abs(drawn), initial=0.01))
        axis = "" if i == 0 else str(i + 1)
        clear = (low > 0) | (high < 0)
        groups = ((~clear, OTHER), (clear & (value > 0), GOOD), (clear & (value < 0), BAD))
        for chosen, colour in groups:
            rows = np.flatnonzero(chosen & np.isfinite(value))
            figure.add_trace(
                Scatter(
                    x=value[rows], y=[names[int(row)] for row in rows], xaxis=f"x{axis}",
                    mode="markers",
                    marker={"color": colour, "size": 7},
                    error_x={
                        "type": "data", "symmetric": False, "array": (high - value)[rows],
                        "arrayminus": (value - low)[rows], "color": colour, "thickness": 1.2,
                        "width": 0,
                    },
                    hovertemplate="%{y} %{x:.4f}<extra></extra>",
                )
            )  # fmt: skip
        figure.update_layout(
            {
                f"xaxis{axis}": {
                    "domain": [i * width + 0.012, (i + 1) * width - 0.012], "anchor": "y",
                    "title": {"text": title}, "range": [-1.08 * reach, 1.08 * reach],
                    "zeroline": True, "nticks": 5,
                }
            }
        )  # fmt: skip
    figure.update_layout(
        yaxis={"categoryorder": "array", "categoryarray": list(names)[::-1], "title": {"text": ""}}
    )
    return figure


def scatter_figure(adverse: Floats, favourable: Floats, won: np.ndarray, limit: float) -> Figure:
    """Draw how far each trade went against and for itself, in units of its risk."""
    from plotly.graph_objects import Scatter

    figure = _figure(
        xaxis={"title": {"text": "furthest against [R]"}, "range": [-0.05, 2.1]},
        yaxis={"title": {"text": "furthest in favour [R]"}, "range": [-0.15, limit]},
        showlegend=True,
    )
    for name, rows, colour in (("lost", ~won, BAD), ("won", won, GOOD)):
        figure.add_trace(
            Scatter(
                x=np.float32(np.minimum(adverse[rows], 2.05)),
                y=np.float32(np.minimum(favourable[rows], limit)),
                mode="markers", name=name, marker={"color": colour, "size": 4.5, "opacity": 0.55},
                customdata=np.flatnonzero(rows) + 1,
                hovertemplate="trade %{customdata}: %{x:.2f} R against, %{y:.2f} R in favour"
                "<extra></extra>",
            )
        )  # fmt: skip
    return figure


def histogram_figure(
    edges: Floats,
    counts: Ints,
    marked: Sequence[tuple[float, str]],
    title: str,
    unit: str,
    *,
    neutral: bool = False,
) -> Figure:
    """Draw a histogram with marked values; bars left of zero as losses unless ``neutral``."""
    from plotly.graph_objects import Bar

    middle = (edges[1:] + edges[:-1]) / 2
    figure = _figure(xaxis={"title": {"text": title}}, yaxis={"title": {"text": unit}}, bargap=0.06)
    sides = ((middle < 0, OTHER if neutral else BAD), (middle >= 0, OTHER if neutral else GOOD))
    for rows, colour in sides:
        figure.add_trace(
            Bar(
                x=middle[rows], y=counts[rows], width=np.diff(edges)[rows],
                marker={"color": colour},
                hovertemplate="%{x:.3g}: %{y}<extra></extra>",
            )
        )  # fmt: skip
    for value, label in marked:
        figure.add_vline(
            x=value, line={"color": RUN if neutral else OTHER, "width": 2, "dash": "dot"},
            annotation={"text": label, "yanchor": "bottom", "yref": "paper", "y": 1.0},
        )  # fmt: skip
    figure.update_layout(barmode="overlay")
    return figure


def windows_heights(windows: int, panels: int) -> Floats:
    """Return the heights of the bars of a walk, and of each panel below them [px]."""
    return np.array([60 + min(13 * windows, 300), *[130] * panels], dtype=np.float64)


def windows_figure(
    windows: Sequence[tuple[int, int, int]],
    panels: Sequence[tuple[str, Sequence[tuple[str, Sequence[Interval], str]]]],
) -> Figure:
    """Draw training and test windows as bars over what was measured of each.

    Parameters
    ----------
    windows : sequence of (int, int, int)
        Beginning of the training, of the test, and the test's end, milliseconds.
    panels : sequence of (title, series)
        Each with an axis of its own; a series is a name, one interval per window, a colour.
    """
    from plotly.graph_objects import Bar

    train, valid, end = (np.array(part, dtype=np.int64) for part in zip(*windows, strict=True))
    number = np.arange(1, len(windows) + 1)
    heights = windows_heights(len(windows), len(panels))
    edges = 1.0 - np.concatenate([[0.0], np.cumsum(heights)]) / heights.sum()
    # Room for each title above its panel.
    gap = 34 / heights.sum()
    figure = _figure(
        yaxis={"domain": [edges[1] + gap, 1.0], "autorange": "reversed", "dtick": 1,
               "showticklabels": False, "title": {"text": "windows"}},
        xaxis={"type": "date", "anchor": f"y{len(panels) + 1}" if panels else "y"},
        barmode="overlay", bargap=0.35,
    )  # fmt: skip
    for name, start, stop, colour in (("training", train, valid, OTHER), ("test", valid, end, RUN)):
        figure.add_trace(
            Bar(
                x=(stop - start).astype(float), y=number, base=_dates(start), orientation="h",
                name=name, marker={"color": colour},
                hovertemplate=f"{name}, window %{{y}}<extra></extra>",
            )
        )  # fmt: skip
    named: set[str] = set()
    for i, (title, series) in enumerate(panels):
        bottom = 0.0 if i + 1 == len(panels) else edges[i + 2] + gap
        axis = {"domain": [bottom, edges[i + 1]], "nticks": 5, "zeroline": True}
        figure.update_layout({f"yaxis{i + 2}": axis})
        figure.add_annotation(
            text=title, x=0, xref="paper", xanchor="left", y=edges[i + 1], yref="paper",
            yanchor="bottom",
        )  # fmt: skip
        # Those of one window stand beside each other, so that their intervals can be told apart.
        for k, (name, found, colour) in enumerate(series):
            middle = valid + ((end - valid) * (k + 1)) // (len(series) + 1)
            trace = _measured(middle, series_name(name), found, colour, f"y{i + 2}")
            # A series alone in its panel is named by the title.
            trace.showlegend = len(series) > 1 and trace.name not in named
            named.add(trace.name)
            figure.add_trace(trace)
    figure.update_layout(showlegend=True)
    return figure


def series_name(metric: str) -> str:
    """Return of what a metric is, ``signal`` of ``signal, AUC``."""
    return metric.partition(",")[0]


def _measured(time: Ints, name: str, found: Sequence[Interval], colour: str, axis: str) -> Scatter:
    """Draw intervals over time; joined by a line where only estimates are known."""
    from plotly.graph_objects import Scatter

    value, low, high = (
        np.array([getattr(one, side) for one in found]) for side in ("estimate", "low", "high")
    )
    told = np.isfinite(low)
    error = {
        "type": "data", "symmetric": False, "array": np.where(told, high - value, 0.0),
        "arrayminus": np.where(told, value - low, 0.0), "color": colour, "thickness": 1.2,
        "width": 0,
    }  # fmt: skip
    return Scatter(
        x=_dates(time), y=value, yaxis=axis, name=name,
        mode="markers" if told.any() else "lines+markers",
        line={"color": colour, "width": 1.4}, marker={"color": colour, "size": 6},
        error_y=error if told.any() else None, hovertemplate="%{y:.3f}",
    )  # fmt: skip
