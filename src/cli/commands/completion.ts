import type { Argument, Command, Option } from 'commander';

/** What the shell completes, read off the commander program: the root command has the empty name. */
interface Completed {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** Fixed operands, such as the shells. */
  readonly operands: readonly string[];
}

interface CompletedOption {
  /** With its dashes, `--ip`. */
  readonly flag: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

/** The completion script for `bash`, `zsh` or `fish`. */
export function completion(program: Command, shell: string): string {
  const root = read(program, '');
  const commands = program.commands.map((command) => read(command, command.name(), root.options));
  switch (shell) {
    case 'bash':
      return bash(root, commands);
    case 'zsh':
      return zsh(root, commands);
    default:
      return fish(root, commands);
  }
}

function read(command: Command, name: string, inherited: readonly CompletedOption[] = []): Completed {
  const own = command.options.map(readOption);
  const help: CompletedOption = { flag: '--help', description: 'show help', takesValue: false, choices: [] };
  return {
    name,
    description: oneLine(command.description()),
    options: [...own, ...(inherited.length > 0 ? inherited : [help])],
    operands: command.registeredArguments.flatMap((argument: Argument) => argument.argChoices ?? []),
  };
}

function readOption(option: Option): CompletedOption {
  return {
    flag: option.long ?? option.short ?? '',
    description: oneLine(option.description),
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
  };
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();
/** In single quotes, for every shell here. */
const quoted = (text: string) => `'${text.replaceAll("'", '’')}'`;
const files = (option: CompletedOption) => option.flag === '--plugin';

function bash(root: Completed, commands: readonly Completed[]): string {
  const all = [root, ...commands];
  const values = root.options
    .filter(({ takesValue }) => takesValue)
    .map((option) => {
      const reply = files(option) ? '-f --' : `-W ${quoted(option.choices.join(' '))} --`;
      return `    ${option.flag}) COMPREPLY=($(compgen ${reply} "$word")); return ;;`;
    });
  const cases = all.map(({ name, options, operands }) => {
    const words = [
      ...options.map(({ flag }) => flag),
      ...operands,
      ...(name === '' ? commands.map((c) => c.name) : []),
    ];
    return `    ${name === '' ? '*' : name}) words=${quoted(words.join(' '))} ;;`;
  });
  return `# registrator completion bash >/etc/bash_completion.d/registrator
_registrator() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words
  case $before in
${values.join('\n')}
  esac
  case \${COMP_WORDS[1]} in
${[...cases.slice(1), cases[0]].join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _registrator registrator
`;
}

function zsh(root: Completed, commands: readonly Completed[]): string {
  const spec = (option: CompletedOption) => {
    const text = option.description.replace(/[[\]]/g, '\\$&');
    const values = files(option) ? '_files' : option.choices.length > 0 ? `(${option.choices.join(' ')})` : ' ';
    return quoted(`${option.flag}[${text}]${option.takesValue ? `:value:${values}` : ''}`);
  };
  const operand = ({ name, operands }: Completed) =>
    name === ''
      ? [quoted(`*::registry URI or command:(${commands.map((command) => command.name).join(' ')})`)]
      : operands.length > 0
        ? [quoted('1: :'), quoted(`2:what:(${operands.join(' ')})`)]
        : [quoted('*: :')];
  const cases = [...commands, root].map((command) => {
    const words = [...command.options.map(spec), ...operand(command)].join(' \\\n        ');
    return `    ${command.name === '' ? '*' : command.name})\n      _arguments -S \\\n        ${words} ;;`;
  });
  return `#compdef registrator
# registrator completion zsh >"\${fpath[1]}/_registrator"
_registrator() {
  case $words[2] in
${cases.join('\n')}
  esac
}
compdef _registrator registrator
`;
}

function fish(root: Completed, commands: readonly Completed[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  const lines = [root, ...commands].flatMap(({ name, options, operands }) => {
    const when = name === '' ? '' : ` -n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    const own = name === '' ? options : options.filter((option) => !root.options.includes(option));
    return [
      ...own.map((option) => {
        const value = option.takesValue ? (files(option) ? ' -r -F' : ' -x') : '';
        const choices = option.choices.length > 0 ? ` -a ${quoted(option.choices.join(' '))}` : '';
        return `complete -c registrator${when} -l ${option.flag.slice(2)}${value}${choices} -d ${quoted(option.description)}`;
      }),
      ...(operands.length > 0 ? [`complete -c registrator${when} -a ${quoted(operands.join(' '))}`] : []),
    ];
  });
  const first = commands.map(
    ({ name, description }) =>
      `complete -c registrator -n ${quoted(`not __fish_seen_subcommand_from ${names}`)} -a ${name} -d ${quoted(description)}`,
  );
  return `# registrator completion fish >~/.config/fish/completions/registrator.fish\ncomplete -c registrator -f\n${[...first, ...lines].join('\n')}\n`;
}
