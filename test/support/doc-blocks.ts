/**
 * The commands of a Markdown page's `sh` blocks, in their order; `console`, `text` and other blocks are for people only.
 * A comment `# => words` behind a command says what its output must hold, sooner or later.
 */
export interface DocCommand {
  /** Of the page, counted from 1. */
  readonly line: number;
  readonly command: string;
  readonly expected?: string;
}

export function docCommands(markdown: string): readonly DocCommand[] {
  const commands: DocCommand[] = [];
  let inBlock = false;
  let rest = '';
  for (const [index, text] of markdown.split('\n').entries()) {
    if (/^```/.test(text)) {
      inBlock = !inBlock && text.trim() === '```sh';
      continue;
    }
    if (!inBlock || /^\s*(#|$)/.test(text)) continue;
    if (text.endsWith('\\')) {
      rest += `${text.slice(0, -1)} `;
      continue;
    }
    const [command = '', expected] = `${rest}${text}`.split(/\s+# => /);
    rest = '';
    commands.push({ line: index + 1, command, ...(expected === undefined ? {} : { expected: expected.trim() }) });
  }
  return commands;
}

/** A bash script that runs the commands one after the other, and ends with 1 at the first that does not do as said. */
export function docScript(commands: readonly DocCommand[]): string {
  const lines = commands.map(({ line, command, expected }) => {
    const word = `'${command.replaceAll("'", "'\\''")}'`;
    if (expected === undefined) return command.endsWith('&') ? command : `must ${line} ${word}`;
    return `prints ${line} '${expected.replaceAll("'", "'\\''")}' ${word}`;
  });
  return `${PRELUDE}\n${lines.join('\n')}\n`;
}

const PRELUDE = `trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
fail() { echo "line $1: «$2» $3" >&2; exit 1; }
must() { local out; out=$(eval "$2" 2>&1) || fail "$1" "$2" "failed: $out"; }
prints() {
  local out end=$((SECONDS + 20))
  while ((SECONDS < end)); do
    out=$(eval "$3" 2>&1) && grep -qF -- "$2" <<<"$out" && return
    sleep 0.1
  done
  fail "$1" "$3" "printed «$out», and not «$2»"
}`;
