import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { readIpAddress } from '../lib/ip-address.ts';
import { quote } from '../lib/quote.ts';
import type { Addresses, Binding, Container, Family, Network } from './container.ts';
import { fieldText, type PortFields, refuse, sourceOf } from './fields.ts';
import type { DeriveOptions } from './options.ts';
import type { Report } from './report.ts';

/** Why there is no address, as the end of a sentence that says what to do. */
export interface Missing {
  readonly missing: string;
  /** Whether it is the host's: then the container is well, and waits. */
  readonly ofHost?: true;
}

/**
 * The binding that stands for a port: of the chosen family if there is one, one that others can reach before one on
 * loopback, then the lowest port. Docker lists them in any order.
 */
export function chooseBinding(bindings: readonly Binding[], family: Family): Binding | undefined {
  const ofFamily = bindings.filter(({ address }) => familyOf(address, family) === family);
  const candidates = ofFamily.length === 0 ? bindings : ofFamily;
  if (candidates.length < 2) return candidates[0];
  const rank = ({ address }: Binding) => Number(isLoopback(address));
  return candidates.toSorted((a, b) => rank(a) - rank(b) || a.port - b.port || (a.address < b.address ? -1 : 1))[0];
}

export interface Found {
  readonly address: string;
  /** In words, as in `Sources`. */
  readonly source: string;
}

/** What decides on an address beside the flags. */
export interface Place {
  readonly container: Container;
  /** The container whose network it is in: itself, or the one that it joins. */
  readonly host: Container;
  /** Whether the container's own address and port are wanted: `--internal`, or what SERVICE_INTERNAL says. */
  readonly internal: boolean;
  readonly binding: Binding | undefined;
}

export function serviceAddress(
  place: Place,
  fields: PortFields,
  options: DeriveOptions,
  report: Report,
): Found | Missing {
  const byLabel = addressField(fields, report) ?? addressLabel(place.container, options.useIpFromLabel, report);
  if (byLabel !== undefined) return byLabel;
  const ofContainer = place.internal || options.ipFromContainer;
  return ofContainer && place.host.networkMode !== 'host'
    ? containerAddress(place.host, fields, options, report)
    : hostAddress(place, options);
}

/**
 * Whether an address is neither the container's own nor this host's, so that only a label can have named it. Nor is
 * loopback where the label chooses the port as well: what listens there is meant for this host alone.
 *
 * @param chosen whether a label chose the port
 */
export function isElsewhere(
  address: string,
  chosen: boolean,
  { host, binding }: Place,
  options: DeriveOptions,
): boolean {
  const { ip, hostAddress } = options;
  const networks = [host.bridge, ...host.networks, hostAddress].flatMap((each) => [each[4], each[6]]);
  const own = [ip, binding?.address, ...networks];
  return !own.includes(address) || (chosen && (isLoopback(address) || isWildcard(address)));
}

/** SERVICE_IP. */
function addressField(fields: PortFields, report: Report): Found | undefined {
  const field = fields.get('ip');
  if (field === undefined || field.value === '') return undefined;
  const address = readAddress(field.value);
  if (address !== undefined) return { address, source: sourceOf(field) };
  refuse(field, 'neither an IP address nor a host name', report);
  return undefined;
}

/** `--use-ip-from-label`: an address, or one with its network's prefix as in CIDR. */
function addressLabel(container: Container, label: string | undefined, report: Report): Found | undefined {
  const value = container.labels.get(label ?? '');
  if (label === undefined || value === undefined || value === '') return undefined;
  const cut = value.lastIndexOf('/');
  const address = readAddress(cut === -1 ? value : value.slice(0, cut));
  if (address !== undefined) return { address, source: `label ${label}` };
  report.say(
    'warn',
    `the label ${quote(label)} is ${quote(value)}, which is no address; the address is found without it.`,
  );
  return undefined;
}

/** Characters of the longest name in DNS. */
const LONGEST = 253;

/** An IP address, with or without brackets, or a host name. What ends in digits can only be an address. */
function readAddress(text: string): string | undefined {
  if (text.length > LONGEST) return undefined;
  const address = readIpAddress(text);
  if (address !== undefined) return address;
  const isName = /^(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?$/i.test(text);
  return isName && !/(?:^|\.)\d+\.?$/.test(text) ? text : undefined;
}

function hostAddress({ internal, binding }: Place, options: DeriveOptions): Found | Missing {
  // On the host's network with --internal the host's address is the container's own, and --ip only the last resort.
  const { ip } = options;
  if (ip !== undefined && !internal) return { address: ip, source: '--ip' };
  if (binding !== undefined && !isWildcard(binding.address)) {
    return { address: binding.address, source: "the port's binding" };
  }
  const family = familyOf(binding?.address ?? '', options.ipFamily);
  const own = options.hostAddress[family];
  if (own !== undefined) return { address: own, source: "default: this host's" };
  if (ip !== undefined) return { address: ip, source: '--ip' };
  return { missing: unknownHostAddress(options, family), ofHost: true };
}

/** Why the host's address is not known, as the end of a sentence that says what to do. */
export function unknownHostAddress({ ownNetwork }: Pick<DeriveOptions, 'ownNetwork'>, family: Family): string {
  return ownNetwork
    ? "registrator runs in a container with a network of its own, from which the host's address cannot be seen; give it with --ip, or run registrator with --net=host"
    : `no IPv${family} address of this host but loopback is known; give one with --ip`;
}

function containerAddress(
  host: Container,
  fields: PortFields,
  { network, ipFamily }: DeriveOptions,
  report: Report,
): Found | Missing {
  const chosen = chosenNetwork(host, fields, network, report);
  const address = chosen === undefined ? defaultAddress(host, ipFamily) : chosen[ipFamily];
  if (address !== undefined) {
    const source = chosen === undefined ? "the container's network" : `the network ${chosen.name}`;
    return { address, source };
  }
  const other = ipFamily === 4 ? 6 : 4;
  const place = chosen === undefined ? 'in any network' : `in the network ${quote(chosen.name)}`;
  const hasOther = (chosen === undefined ? defaultAddress(host, other) : chosen[other]) !== undefined;
  const advice = hasOther
    ? `it has an IPv${other} one, for --ip-family ${other}`
    : 'connect it to a network, or set SERVICE_IP';
  return { missing: `the container has no IPv${ipFamily} address ${place}; ${advice}` };
}

/** The network that SERVICE_NETWORK or `--network` asks for, where the container is in it. */
function chosenNetwork(
  host: Container,
  fields: PortFields,
  option: string | undefined,
  report: Report,
): Network | undefined {
  const wanted = fieldText(fields, 'network');
  const named = host.networks.find(({ name }) => name === wanted);
  if (named !== undefined) return named;
  const field = fields.get('network');
  if (wanted !== undefined && field !== undefined) refuse(field, 'no network of this container', report);
  const byOption = host.networks.find(({ name }) => name === option);
  if (option !== undefined && byOption === undefined) {
    report.say(
      'info',
      `it is not in the network ${quote(option)} that --network names; its address in another one is taken.`,
    );
  }
  return byOption;
}

/** The default bridge's address, else that of the network it was started in, else of the first one by name. */
function defaultAddress({ bridge, networkMode, networks }: Container, family: Family): string | undefined {
  const addresses: readonly (Addresses | undefined)[] = [
    bridge,
    networks.find(({ name, id }) => name === networkMode || id === networkMode),
    ...networks,
  ];
  return addresses.find((candidate) => candidate?.[family] !== undefined)?.[family];
}

function familyOf(address: string, fallback: Family): Family {
  const family = isIP(address);
  return family === 4 || family === 6 ? family : fallback;
}

/** As engines write them: to parse an address takes longer than all the rest of deriving a service. */
const WILDCARDS: readonly string[] = ['', '0.0.0.0', '::'];

const isWildcard = (address: string) => WILDCARDS.includes(address) || rangeOf(address) === 'unspecified';

const isLoopback = (address: string) => !WILDCARDS.includes(address) && rangeOf(address) === 'loopback';

const rangeOf = (address: string) => (ipaddr.isValid(address) ? ipaddr.parse(address).range() : undefined);
