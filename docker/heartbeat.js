/** Written on each beat of the event loop. In /dev/shm, which is writable in a read-only container too. */
export const heartbeatFile = '/dev/shm/registrator.alive';
export const heartbeatSeconds = 5;
