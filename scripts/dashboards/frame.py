"""What every dashboard has around its panels: variables, links to the others, alerts as annotations.

`$job` narrows to one deployment, `$edge` and `$worker` to instances, `$model` to the workers of a model. A link hands
them on, so that the next dashboard shows the same part of the service over the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as schema

TAG = "moebius"
DATASOURCE = schema.DataSourceRef(type_val="prometheus", uid="${datasource}")
FIRING_ALERTS = 'ALERTS{alertstate="firing", alertname=~"Inpaint.+"}'
ALL = schema.VariableOption(selected=True, text="All", value="$__all")


def framed(uid: str, title: str, description: str) -> build.Dashboard:
    """A dashboard without panels: the last hour, read anew every 10 seconds."""
    return (
        build.Dashboard(f"Moebius: {title}")
        .uid(f"moebius-{uid}")
        .description(description)
        .tags([TAG])
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(schema.DashboardCursorSync.CROSSHAIR)
        .variables([_Plain(variable) for variable in _variables()])
        .link(_links())
        .annotation(_Alerts())
    )


def _variables() -> list[Builder[schema.VariableModel]]:
    """The choices at the top, from the widest to the narrowest."""
    return [
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _choice("job", "Job", '{__name__=~"inpaint_queue_jobs|inpaint_backend_info"}', "job"),
        _choice("edge", "Edge", 'inpaint_queue_jobs{job=~"$job"}', "instance"),
        # Models that no worker serves are in the queue's cost alone.
        _choice(
            "model",
            "Model",
            '{__name__=~"inpaint_queue_ready_cost|inpaint_backend_info", job=~"$job"}',
            "model",
        ),
        _choice("worker", "Worker", 'inpaint_backend_info{job=~"$job", model=~"$model"}', "instance"),
    ]


def _choice(name: str, label: str, series: str, values_of: str) -> build.QueryVariable:
    """Any number of the values that the label `values_of` has in `series`; all of them at first."""
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({series}, {values_of})")
        .refresh(schema.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(schema.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(ALL)
    )


@dataclass(frozen=True, slots=True)
class _Plain(Builder[schema.VariableModel]):
    """Leaves out what the SDK gives every variable, and Grafana's schema knows of intervals alone."""

    variable: Builder[schema.VariableModel]

    def build(self) -> schema.VariableModel:
        model = self.variable.build()
        model.auto = model.auto_min = model.auto_count = None
        return model


def _links() -> build.DashboardLink:
    """To all dashboards with our tag."""
    link = build.DashboardLink("Moebius").type(schema.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).include_vars(True).keep_time(True)


class PrometheusAnnotation(schema.AnnotationQuery):
    """Adds what the Prometheus data source reads and the SDK's model does not know: what a mark says."""

    def to_json(self) -> dict[str, object]:
        """The fields as Grafana stores them."""
        return super().to_json() | {
            "titleFormat": "{{alertname}}",
            "textFormat": "{{severity}} {{instance}}",
            "tagKeys": "severity",
        }


class _Alerts(Builder[schema.AnnotationQuery]):
    def build(self) -> schema.AnnotationQuery:
        """A mark over the time that an alert fires."""
        return PrometheusAnnotation(
            name="Alerts", datasource=DATASOURCE, icon_color="red", built_in=None, expr=FIRING_ALERTS
        )
