/**
 * A real S3 server for tests and benchmarks: Ceph's RADOS gateway from Debian, with one monitor and one OSD that keeps
 * its objects in memory. Small S3 imitations ignore conditions and accept bad signatures, so a test that passes on
 * them says nothing.
 *
 *     apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd
 *
 * Everything listens on loopback at free ports and lives in a temporary directory. The daemons run in the foreground as
 * our children and die with us (setpriv --pdeathsig), also when we are killed. Up in two to four seconds.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, openSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'minio'
import type { StoreSettings } from '../../src/repository/store/contract.ts'
import { cephConfiguration, cephKeyring } from './radosgw-configuration.ts'

export interface Radosgw {
  readonly port: number
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  makeBucket(name: string, options?: BucketOptions): Promise<void>
  /** What to open as a store. `through`: the endpoint of a proxy that leads here. */
  settings(path: string, through?: string): StoreSettings
  /** The vendor's client, for what the store never does: multipart, versioning, looking behind its back. */
  client(): Client
  /** Ends the gateway with SIGKILL, as a crash would; what is stored stays. */
  crashGateway(): Promise<void>
  startGateway(): Promise<void>
  /** Ends everything and removes every file. */
  stop(): Promise<void>
}

export interface BucketOptions {
  readonly versioned?: boolean
  readonly objectLock?: boolean
}

const programs = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'ceph-authtool', 'monmaptool', 'setpriv']
const READY_POLL_MS = 50
const READY_MAX_MS = 60_000

/** One line for the person who wonders why tests were skipped; null when nothing is in the way. */
export function whyNoRadosgw(): string | null {
  if (process.platform !== 'linux') return 'radosgw runs on Linux only'
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/bin', '/usr/sbin')
  const missing = programs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))))
  if (missing.length > 0) return `no ${missing.join(', ')}: apt-get install radosgw ceph-mon ceph-osd`
  return process.getuid?.() === 0 ? null : 'radosgw needs root here'
}

export async function startRadosgw(): Promise<Radosgw> {
  const why = whyNoRadosgw()
  if (why !== null) throw new Error(why)
  const cluster = new Cluster(await mkdtemp(join(tmpdir(), 'chartkeep-rgw-')), await freePorts(3))
  try {
    await cluster.start()
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

const run = promisify(execFile)

class Cluster implements Radosgw {
  readonly port: number
  readonly endpoint: string
  readonly accessKey = `test${randomBytes(8).toString('hex')}`
  readonly secretKey = randomBytes(20).toString('hex')
  readonly #directory: string
  readonly #configuration: string
  readonly #monitorPorts: { v1: number; v2: number }
  readonly #daemons: ChildProcess[] = []
  #gateway: ChildProcess | null = null

  constructor(directory: string, ports: number[]) {
    const [port = 0, v1 = 0, v2 = 0] = ports
    this.port = port
    this.endpoint = `http://127.0.0.1:${port}`
    this.#monitorPorts = { v1, v2 }
    this.#directory = directory
    this.#configuration = join(directory, 'ceph.conf')
  }

  async start(): Promise<void> {
    const clusterId = randomUUID()
    await this.#writeConfiguration(clusterId)
    await this.#makeMonitor(clusterId)
    this.#daemons.push(await this.#spawn('ceph-mon', ['-i', 'a']))

    const osdId = randomUUID()
    await this.#ceph('ceph', ['--connect-timeout', '30', 'osd', 'new', osdId])
    await this.#ceph('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', osdId])
    this.#daemons.push(await this.#spawn('ceph-osd', ['-i', '0']))

    const keys = ['--access-key', this.accessKey, '--secret-key', this.secretKey]
    await this.#ceph('radosgw-admin', [
      '-n',
      'client.rgw',
      'user',
      'create',
      '--uid=test',
      '--display-name=test',
      ...keys,
    ])
    await this.startGateway()
  }

  async startGateway(): Promise<void> {
    this.#gateway = await this.#spawn('radosgw', ['-n', 'client.rgw'])
    await this.#answers(this.#gateway)
  }

  async crashGateway(): Promise<void> {
    if (this.#gateway) await end(this.#gateway)
    this.#gateway = null
  }

  async stop(): Promise<void> {
    await this.crashGateway()
    for (const daemon of this.#daemons.toReversed()) await end(daemon)
    await rm(this.#directory, { recursive: true, force: true })
  }

  settings(path: string, through = this.endpoint): StoreSettings {
    return { url: `s3://${path}?endpoint=${through}`, accessKey: this.accessKey, secretKey: this.secretKey }
  }

  client(): Client {
    return new Client({
      endPoint: '127.0.0.1',
      port: this.port,
      useSSL: false,
      accessKey: this.accessKey,
      secretKey: this.secretKey,
      region: 'us-east-1',
    })
  }

  async makeBucket(name: string, options: BucketOptions = {}): Promise<void> {
    const client = this.client()
    await client.makeBucket(name, 'us-east-1', { ObjectLocking: options.objectLock ?? false })
    if (options.versioned) await client.setBucketVersioning(name, { Status: 'Enabled' })
  }

  async #writeConfiguration(clusterId: string): Promise<void> {
    for (const folder of ['mon/a', 'osd/0', 'run', 'log']) {
      await mkdir(join(this.#directory, folder), { recursive: true })
    }
    const places = { directory: this.#directory, clusterId, gatewayPort: this.port, monitorPorts: this.#monitorPorts }
    await writeFile(this.#configuration, cephConfiguration(places))
    await writeFile(join(this.#directory, 'keyring'), cephKeyring())
  }

  async #makeMonitor(clusterId: string): Promise<void> {
    const map = join(this.#directory, 'monmap')
    const { v1, v2 } = this.#monitorPorts
    const addresses = `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`
    await run('monmaptool', ['--create', '--clobber', '--fsid', clusterId, '--addv', 'a', addresses, map])
    await this.#ceph('ceph-mon', ['-i', 'a', '--mkfs', '--monmap', map, '--keyring', join(this.#directory, 'keyring')])
  }

  async #ceph(program: string, args: string[]): Promise<void> {
    await run(program, ['-c', this.#configuration, ...args])
  }

  async #spawn(program: string, args: string[]): Promise<ChildProcess> {
    const output = openSync(join(this.#directory, 'log', `${program}.out`), 'a')
    const command = ['--pdeathsig', 'KILL', program, '-f', '-c', this.#configuration, ...args]
    const child = spawn('setpriv', command, { stdio: ['ignore', output, output] })
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    return child
  }

  async #answers(gateway: ChildProcess): Promise<void> {
    for (let waitedMs = 0; waitedMs < READY_MAX_MS; waitedMs += READY_POLL_MS) {
      if (gateway.exitCode !== null) break
      const isUp = await fetch(`${this.endpoint}/`).then(
        (answer) => answer.ok,
        () => false,
      )
      if (isUp) return
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))
    }
    const log = await readFile(join(this.#directory, 'log', 'radosgw.out'), 'utf8').catch(() => '')
    throw new Error(`radosgw does not answer at ${this.endpoint}: ${log.slice(-2000)}`)
  }
}

/** The OSD keeps nothing that anybody will want again, so there is nothing to wait for. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

/** Held together, so that the three differ; let go just before use, which loopback in a test can bear. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    ports.push(typeof address === 'object' && address ? address.port : 0)
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return ports
}
