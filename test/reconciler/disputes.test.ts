import { describe, expect, it } from 'vitest';
import { Disputes } from '../../src/reconciler/disputes.ts';

describe('an entry that somebody keeps changing', () => {
  it('is mended at once twice, and then ever less often, to once an hour', () => {
    const disputes = new Disputes(60_000);
    let now = 0;
    const waits: number[] = [];
    for (let n = 0; n < 12; n += 1) {
      const inDispute = disputes.foundChanged('k', now);
      expect(inDispute).toBe(n === 2);
      let wait = 0;
      while (!disputes.mayMend('k', now + wait)) wait += 60_000;
      waits.push(wait / 60_000);
      now += wait;
    }
    expect(waits).toEqual([0, 0, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
  });

  it('is forgotten after an hour of calm, and when the registry lost everything', () => {
    const disputes = new Disputes(60_000);
    for (let n = 0; n < 5; n += 1) disputes.foundChanged('k', 0);
    expect(disputes.mayMend('k', 1_000)).toBe(false);
    disputes.clear();
    expect(disputes.mayMend('k', 1_000)).toBe(true);
    for (let n = 0; n < 2; n += 1) disputes.foundChanged('k', 0);
    expect(disputes.foundChanged('k', 3_600_001)).toBe(false);
    expect(disputes.mayMend('k', 3_600_001)).toBe(true);
  });

  it('puts no other entry in dispute', () => {
    const disputes = new Disputes(60_000);
    for (let n = 0; n < 5; n += 1) disputes.foundChanged('k', 0);
    expect(disputes.mayMend('other', 0)).toBe(true);
  });
});

describe('an entry that comes back after we removed it', () => {
  it('is left alone from the second time on, and told of once', () => {
    const disputes = new Disputes(60_000);
    expect(disputes.foundBack('k', 0)).toBe(false);
    expect(disputes.mayMend('k', 0)).toBe(true);
    expect(disputes.foundBack('k', 1_000)).toBe(true);
    expect(disputes.mayMend('k', 1_000)).toBe(false);
    expect(disputes.foundBack('k', 2_000)).toBe(false);
    expect(disputes.mayMend('other', 2_000)).toBe(true);
    // The registry lost its data: whoever brought it back is still there.
    disputes.clear();
    expect(disputes.mayMend('k', 2_000)).toBe(false);
  });

  it('is ours to remove again once we wrote it ourselves, and counts anew after an hour', () => {
    const disputes = new Disputes(60_000);
    disputes.foundBack('k', 0);
    disputes.foundBack('k', 0);
    disputes.forgetReturns('k');
    expect(disputes.mayMend('k', 0)).toBe(true);
    disputes.foundBack('k', 0);
    expect(disputes.foundBack('k', 3_600_001)).toBe(false);
    expect(disputes.mayMend('k', 3_600_001)).toBe(true);
  });
});
