// What a dashboard of ours may hold, by Grafana's own schema: an enumeration's members are plain strings and numbers
// in JSON, and each kind of panel has options and field settings of its own.
import type { AnnotationQuery, Dashboard, DataQuery, FieldConfigSource, Panel } from '@grafana/schema';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen.d.ts';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen.d.ts';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts';

type Plain<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends number
      ? `${T}` extends `${infer N extends number}` ? N : never
      : T extends object
        ? { [K in keyof T]: Plain<T[K]> }
        : T;

// The schema leaves a data source's own fields open; these are the ones that Prometheus' reads.
type PrometheusQuery = DataQuery & {
  editorMode: 'code';
  expr: string;
  format?: 'heatmap' | 'table' | 'time_series';
  instant: boolean;
  legendFormat: string;
  range: boolean;
};
type PrometheusAnnotation = AnnotationQuery & {
  expr: string;
  tagKeys: string;
  textFormat: string;
  titleFormat: string;
};

type PanelOf<Kind extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Kind;
  title: string;
  description: string;
  options: Options;
  fieldConfig?: FieldConfigSource<Custom>;
  targets: PrometheusQuery[];
};
type KnownPanel =
  | PanelOf<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | PanelOf<'stat', stat.Options, Record<string, never>>
  | PanelOf<'table', table.Options, table.FieldConfig>
  | PanelOf<'timeseries', timeseries.Options, timeseries.FieldConfig>;

export type KnownDashboard = Plain<
  Omit<Dashboard, 'annotations' | 'panels'> & {
    annotations: { list: PrometheusAnnotation[] };
    panels: KnownPanel[];
  }
>;
