import type { Board } from './board.ts';

/** What a page that has just been opened is told: all there is. */
export function everything(board: Board): unknown {
  return { ...aside(board), all: true, rows: [...board.rows], gone: [] };
}

/** What an open page is told after rows changed: those of these keys, and all that is small. */
export function changes(board: Board, keys: ReadonlySet<string>): unknown {
  const found = [...keys].map((key) => ({ key, row: board.row(key) }));
  return {
    ...aside(board),
    rows: found.flatMap(({ row }) => row ?? []),
    gone: found.flatMap(({ key, row }) => (row === undefined ? key : [])),
  };
}

function aside({ about, recent, registries, unregistered }: Board) {
  return { ...about, recent, registries, unregistered, now: Date.now() };
}
