/** What registries are made of: everything here serves any of them. */
export { LossSignal } from '../../lib/loss-signal.ts';
export { idLabel, NAME_LABEL, nameLabel } from './dns-label.ts';
export { each, inBatches } from './each.ts';
export { Findings } from './findings.ts';
export { firstLoss } from './first-loss.ts';
export * from './owner.ts';
export { decodeSegment, encodeSegment } from './path-segment.ts';
