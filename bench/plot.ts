import { init } from 'echarts';
import type { Point } from './measure.ts';

const SIZE = { width: 720, height: 360 };

/** Draws each series against the number of containers, with one axis of its own unit each; returns the SVG. */
export function plot(points: readonly Point[]): string {
  const names = [...new Set(points.map(({ series }) => series))];
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: {
      text: 'Cost against the number of containers (two ports each)',
      left: 'center',
      textStyle: { fontSize: 14 },
    },
    legend: { bottom: 0, itemGap: 40 },
    grid: { left: 70, right: 70, top: 50, bottom: 80 },
    xAxis: { type: 'value', name: 'containers', nameLocation: 'middle', nameGap: 28 },
    yAxis: [
      { type: 'value', name: 'MiB', min: 0 },
      { type: 'value', name: 'seconds', min: 0, splitLine: { show: false } },
    ],
    series: names.map((name) => ({
      name,
      type: 'line',
      yAxisIndex: name.endsWith('MiB') ? 0 : 1,
      data: points.filter(({ series }) => series === name).map(({ containers, value }) => [containers, value]),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
