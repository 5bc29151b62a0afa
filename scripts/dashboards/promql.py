"""Pieces of PromQL that the panels share: whose series, rates, quantiles of histograms."""

from __future__ import annotations


def of_edges(metric: str, *matchers: str) -> str:
    """The metric's series from the chosen edges."""
    return _series(metric, 'job=~"$job"', 'instance=~"$edge"', *matchers)


def of_workers(metric: str, *matchers: str) -> str:
    """The metric's series from the chosen workers; of a `moebius serve`, from its only page."""
    return _series(metric, 'job=~"$job"', 'instance=~"$worker"', *matchers)


def of_all(metric: str, *matchers: str) -> str:
    """The metric's series from edges and workers."""
    return _series(metric, 'job=~"$job"', 'instance=~"$edge|$worker"', *matchers)


def _series(metric: str, *matchers: str) -> str:
    return f"{metric}{{{', '.join(matchers)}}}"


def rate(series: str) -> str:
    """A counter's increase a second."""
    return f"rate({series}[$__rate_interval])"


def increase(series: str) -> str:
    """A counter's increase from one point of the picture to the next, or over four scrapes where that is longer."""
    return f"increase({series}[$__rate_interval])"


def total(expression: str, *by: str) -> str:
    """The sum over all series, or for each value of the labels `by`."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def largest(expression: str, *by: str) -> str:
    """The largest of all series: what every edge tells of the queue must not be added up."""
    return f"max by ({', '.join(by)}) ({expression})" if by else f"max({expression})"


def quantile(part: float, buckets: str, *by: str) -> str:
    """What `part` of a histogram's observations stay below; `buckets` is its `_bucket` series."""
    return f"histogram_quantile({part}, {total(rate(buckets), 'le', *by)})"


def ratio(part: str, whole: str) -> str:
    """`part` of `whole`, 0 where there is neither."""
    return f"({part}) / clamp_min({whole}, 1e-9)"


def or_zero(expression: str, label: str = "") -> str:
    """The expression, or one series that is 0 where it has none; its `label`, where one is named, is `none`."""
    zero = f'label_replace(vector(0), "{label}", "none", "", "")' if label else "vector(0)"
    return f"{expression} or on () {zero}"
