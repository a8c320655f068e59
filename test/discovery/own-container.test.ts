import { describe, expect, test } from 'vitest';
import { containerIds } from '../../src/discovery/own-container.ts';

const ID = 'ce9152e442a57f5456f744e370e461fd76477f5b222bb01ae854f897bc85f7ac';
const OTHER = 'f'.repeat(64);
const NOWHERE = { mountinfo: '', cgroup: '0::/\n', hostname: 'node1' };

describe('the container that a process is in', () => {
  test.each([
    ['Docker', `812 790 8:1 /var/lib/docker/containers/${ID}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n`],
    [
      'Podman',
      `99 90 0:23 /containers/storage/overlay-containers/${ID}/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n`,
    ],
  ])('is the one whose files are mounted: %s', (_, mountinfo) => {
    expect(containerIds({ ...NOWHERE, mountinfo })).toEqual([ID]);
  });

  test.each([
    `12:pids:/docker/${ID}\n11:cpu:/docker/${ID}\n`,
    `0::/system.slice/docker-${ID}.scope\n`,
    `0::/kubepods.slice/pod1/cri-containerd-${ID}.scope/inner\n`,
  ])('is the one whose control group it is in: %s', (cgroup) => {
    expect(containerIds({ ...NOWHERE, cgroup })).toEqual([ID]);
  });

  test('may be the one that the host is named after', () => {
    expect(containerIds({ ...NOWHERE, hostname: 'ce9152e442a5' })).toEqual(['ce9152e442a5']);
  });

  test('is none on a host, which sees the mounts of all its containers', () => {
    const mountinfo = `70 1 0:5 / /var/lib/docker/containers/${OTHER}/mounts/shm rw - tmpfs shm rw\n`;
    expect(containerIds({ mountinfo, cgroup: '0::/system.slice/docker.service\n', hostname: 'web' })).toEqual([]);
  });
});
