import type { Row } from './measure.ts';

const HEAD = ['measure', 'floor', 'registrator', 'ratio', 'to reach', '', 'how'];

/** A markdown table for the README. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ measure, floor = '', registrator, ratio, reach, reached, note }) => [
    ...[measure, floor, registrator, ratio === undefined ? '' : ratio.toFixed(2), reach, reached ? '✓' : '✗', note],
  ]);
  const line = (row: readonly string[]) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[line(HEAD), line(HEAD.map(() => '---')), ...cells.map(line)].join('\n')}\n`;
}
