import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { javaDir } from './generations.ts';
import { freePort } from './ports.ts';
import { type Command, Server } from './server.ts';

/** A ZooKeeper server alone, on loopback. Sessions may have time-outs from 1 to 10 s, and end within half a second of it. */
export class ZooKeeperServer extends Server {
  #port = 0;

  constructor() {
    super('zookeeper');
  }

  get port(): number {
    return this.#port;
  }
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  protected async command(): Promise<Command> {
    if (this.#port === 0) this.#port = await freePort();
    const file = join(this.dir, 'zoo.cfg');
    const settings = {
      tickTime: 500,
      dataDir: this.dataDir,
      clientPort: this.#port,
      clientPortAddress: '127.0.0.1',
      maxClientCnxns: 0,
      'admin.enableServer': false,
      '4lw.commands.whitelist': '*',
    };
    writeFileSync(
      file,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
    // zookeeper.jar names another jute by its whole path: ours comes first.
    const classPath = ['zookeeper-jute', 'zookeeper', 'slf4j-simple'].map((jar) => `${javaDir}/${jar}.jar`).join(':');
    const jvm = ['-Xmx192m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dzookeeper.jmx.log4j.disable=true'];
    return {
      file: 'java',
      args: [...jvm, '-cp', classPath, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', file],
    };
  }

  protected async isReady(): Promise<boolean> {
    return (await this.ask('srvr')).includes('Mode: standalone');
  }

  /** One of ZooKeeper's four-letter words, e.g. `dump`: sessions and their ephemeral nodes. */
  ask(word: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect({ host: '127.0.0.1', port: this.#port, timeout: 2_000 }, () => socket.write(word));
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      socket.once('timeout', () => socket.destroy(new Error(`zookeeper did not answer ${word}`)));
      socket.once('error', reject);
      socket.once('close', () => resolve(text));
    });
  }
}
