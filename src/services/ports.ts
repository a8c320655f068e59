import { quote } from '../lib/quote.ts';
import { byNumber, type Container, type ContainerPort } from './container.ts';
import type { ServiceFields } from './fields.ts';
import type { Report } from './report.ts';

/**
 * The ports that may become services.
 *
 * @param host the container whose network this one is in: itself, or the one that it joins
 */
export function candidatePorts(
  container: Container,
  host: Container,
  fields: ServiceFields,
  report: Report,
): readonly ContainerPort[] {
  const ports = host === container ? container.ports : joinedPorts(container, host, fields, report);
  // On the host's network no port is published, and every port is on the host under its own number.
  return host.networkMode === 'host' ? ports.map(onHost) : ports;
}

/**
 * Every container in a shared network has all of its ports; whose they are, only the image and the labels say. So a
 * container that joins another one's network has of that one's ports those that it exposes itself or has a
 * `SERVICE_<port>_…` field for. The rest is the other container's, and would be registered twice otherwise.
 */
function joinedPorts(
  container: Container,
  host: Container,
  fields: ServiceFields,
  report: Report,
): readonly ContainerPort[] {
  const exposed = new Map(container.ports.map((port) => [port.key, port]));
  for (const port of host.ports) {
    if (exposed.has(port.key) || fields.singleOut(port)) exposed.set(port.key, port);
    else {
      report.ignore(
        port.key,
        `it is the port of ${quote(host.name)}, whose network this container joins; claim it with SERVICE_${port.number}_NAME`,
      );
    }
  }
  return [...exposed.values()].sort(byNumber);
}

function onHost(port: ContainerPort): ContainerPort {
  return port.bindings.length > 0 ? port : { ...port, bindings: [{ address: '', port: port.number }] };
}
