import { quote } from '../lib/quote.ts';
import type { Container, ContainerPort } from './container.ts';
import { type Field, type PortFields, refuse } from './fields.ts';
import { isOver, MAX_NAME } from './limits.ts';
import type { Report } from './report.ts';

/** What the IDs of a container's services begin with, unless its labels give others; the exposed port follows. */
export const idPrefix = (hostname: string, containerName: string) => `${hostname}:${containerName}:`;

/** Gives the services of one container their IDs, each another one: on a registry they would overwrite each other. */
export class ServiceIds {
  readonly #prefix: string;
  readonly #grouped: boolean;
  readonly #report: Report;
  readonly #taken = new Set<string>();

  /** @param grouped whether the container offers more than one port */
  constructor(hostname: string, { name }: Container, grouped: boolean, report: Report) {
    this.#prefix = idPrefix(hostname, name);
    this.#grouped = grouped;
    this.#report = report;
  }

  /** @returns undefined where there is none that is short enough */
  give(fields: PortFields, port: ContainerPort): string | undefined {
    const protocol = port.protocol === 'tcp' ? '' : `:${port.protocol}`;
    const wanted = this.#given(fields.get('id'), port, protocol) ?? `${this.#prefix}${port.number}${protocol}`;
    let id = this.#taken.has(wanted) ? `${wanted}${protocol}` : wanted;
    while (this.#taken.has(id)) id = `${id}-${port.number}`;
    if (isOver(MAX_NAME, id)) return undefined;
    this.#taken.add(id);
    if (id !== wanted) {
      this.#report.say(
        'warn',
        `two of its services would have the ID ${quote(wanted)}; that of port ${port.key} is registered as ${quote(id)}. Give each a SERVICE_<port>_ID of its own.`,
      );
    }
    return id;
  }

  /** What the field asks for. */
  #given(field: Field | undefined, port: ContainerPort, protocol: string): string | undefined {
    if (field === undefined || field.value === '') return undefined;
    const { value, ports: range } = field;
    const forThisPort = range !== undefined && range.first === range.last;
    const id = this.#grouped && !forThisPort ? `${value}-${port.number}${protocol}` : value;
    if (!isOver(MAX_NAME, id)) return id;
    refuse(field, `longer than the ${MAX_NAME} bytes of an ID`, this.#report);
    return undefined;
  }
}
