/**
 * A hospital for a week: one database, one store, two hosts that each run the service of the same name, people who get
 * messages, and somebody outside who waits for signs of life. What is wrong at any time is set by the week's faults.
 */
import { createHash } from 'node:crypto'
import type { ProtectionStatus } from '../../../src/backup/status.ts'
import { parseConfiguration } from '../../../src/config.ts'
import { Failure } from '../../../src/errors.ts'
import { AuditLog } from '../../../src/repository/audit.ts'
import { acquireLease, leaseName } from '../../../src/repository/lease.ts'
import { Repository } from '../../../src/repository/repository.ts'
import { initRepository } from '../../../src/repository/repository-lifecycle.ts'
import { SealedStore } from '../../../src/repository/sealed-store.ts'
import { keepLease } from '../../../src/repository/with-lease.ts'
import type { Channel, Message } from '../../../src/service/alarm/notifier.ts'
import { CaptureKeeper } from '../../../src/service/capture-keeper.ts'
import { JOB_KINDS, type JobKind } from '../../../src/service/contract.ts'
import { type Kind, type KindRequest, NOTHING_FOUND } from '../../../src/service/kinds/contract.ts'
import type { Kinds } from '../../../src/service/kinds/table.ts'
import { ChartkeepService } from '../../../src/service/service.ts'
import { serviceSettings } from '../../../src/service/settings.ts'
import { watchProtection } from '../../../src/service/watch/protection.ts'
import type { LogLine, ServiceWorld } from '../../../src/service/world.ts'
import { ProcessStore, SimStore } from './sim-store.ts'
import type { VirtualClock } from './virtual-clock.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
/** Long, so that a week is not spent on renewing. */
const LEASE_MS = 16 * MINUTE_MS
const SETTINGS = { url: 'sim:' }
/** Stands for a row of the database; gets into errors as a database puts it there (F42). */
export const PLANTED = 'MRN-0815-Mustermann'

export const CONFIGURATION = `
repository: { url: "file:///srv/chartkeep" }
sources:
  icu: { url: "postgres://chartkeep@db/icu" }
service:
  timeZone: Europe/Berlin
  quietHours: ["07:30-09:30"]
  jobs:
    snapshot: { every: 1h, deadline: 4h, limit: 50m }
    check: { at: "15 5 * * *", deadline: 30h, limit: 2h }
    scrub: { at: "30 2 * * *", deadline: 30h, limit: 2h }
    compare: { at: "0 8,20 * * *", deadline: 20h }
    drill: { at: "0 1 * * wed", deadline: 9d }
    prune: { at: "0 4 * * *", deadline: 30h }
    certificate: { at: "0 6 L * *", deadline: 35d }
  alarms: { lag: 30m, repeat: 6h, watchEvery: 6m }
`

/** What is wrong now, beside the store's own state. */
export interface Trouble {
  database: 'up' | 'down'
  /** Jobs that begin now never end, and hear nothing. */
  hangs: boolean
  /** Checks find damage. */
  damaged: boolean
  receiver: 'up' | 'down'
}

export interface Write {
  readonly task: string
  readonly run: number
  readonly atMs: number
}

export interface Success {
  readonly task: string
  readonly atMs: number
}

/** A week is some forty thousand objects; that they are sealed is what other tests are about. */
class UnsealedStore extends SealedStore {
  override async write(name: string, _: number, plain: Uint8Array): Promise<void> {
    await this.store.put(name, plain)
  }

  override async read(name: string): Promise<Uint8Array> {
    return await this.store.get(name)
  }
}

export class Site {
  readonly clock: VirtualClock
  readonly store = new SimStore()
  readonly trouble: Trouble = { database: 'up', hangs: false, damaged: false, receiver: 'up' }
  readonly writes: Write[] = []
  readonly successes: Success[] = []
  readonly messages: { readonly atMs: number; readonly message: Message }[] = []
  readonly beats: number[] = []
  readonly logs: LogLine[] = []
  readonly gaps: ProtectionStatus['gaps'][number][] = []
  readonly defects: string[] = []
  keptUntilMs: number
  #runs = 0
  #repositoryParts: Pick<Repository, 'id' | 'keyring'> | null = null

  constructor(clock: VirtualClock) {
    this.clock = clock
    this.keptUntilMs = clock.nowMs()
  }

  async init(): Promise<void> {
    let calls = 0
    const random = (bytes: number) => {
      calls += 1
      return createHash('shake256', { outputLength: bytes }).update(`week ${calls}`).digest()
    }
    const secret = { kind: 'key-file', bytes: Buffer.alloc(32, 7) } as const
    const { repository } = await initRepository(this.store, SETTINGS, [secret], { nowMs: this.clock.nowMs, random })
    this.#repositoryParts = repository
  }

  repository(store: SimStore | ProcessStore = this.store): Repository {
    const { id, keyring } = this.#repositoryParts!
    const repository = new Repository({ id, keyring, store, storeSettings: SETTINGS })
    const sealed = new UnsealedStore(store, keyring)
    return Object.assign(repository, { sealed, audit: new AuditLog(sealed) })
  }

  /** One run of some work: writes under its lease every minute, while nothing is wrong. */
  async work(
    task: string,
    minutes: number,
    parts: Pick<KindRequest, 'signal' | 'assertHeld' | 'repository'>,
    world: ServiceWorld,
    usesDatabase: boolean,
  ): Promise<void> {
    this.#runs += 1
    const run = this.#runs
    if (this.trouble.hangs) await new Promise<never>(() => {})
    for (let minute = 0; minute < minutes; minute += 1) {
      await world.sleep(MINUTE_MS, parts.signal)
      if (usesDatabase && this.trouble.database === 'down') {
        throw new Failure('source-unreachable', 'the database does not answer', { cause: new Error(PLANTED) })
      }
      parts.assertHeld()
      await parts.repository.store.put(`work/${run}-${minute}`, new Uint8Array(1))
      this.writes.push({ task, run, atMs: this.clock.nowMs() })
    }
  }

  succeeded(task: string): void {
    this.successes.push({ task, atMs: this.clock.nowMs() })
  }
}

const MINUTES: Readonly<Record<JobKind, number>> = {
  snapshot: 4,
  check: 6,
  scrub: 40,
  compare: 20,
  drill: 45,
  prune: 5,
  certificate: 10,
}

/** A process of the service on one host, from its start to its death. */
export class SimProcess {
  readonly #site: Site
  readonly #store: ProcessStore
  readonly #stop = new AbortController()
  readonly service: ChartkeepService
  readonly running: Promise<void>
  #isDead = false

  /** @param onHopeless the process gave itself up: whoever supervises it starts another */
  constructor(site: Site, host: { readonly name: string; offsetMs: number }, onHopeless: () => void) {
    this.#site = site
    this.#store = new ProcessStore(site.store)
    const repository = site.repository(this.#store)
    const { clock } = site
    const world: ServiceWorld = {
      nowMs: () => clock.nowMs() + host.offsetMs,
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal)
        if (this.#isDead) await new Promise<never>(() => {})
      },
      random: (bytes) => new Uint8Array(bytes),
      host: host.name,
      temporaryDirectory: 'none',
    }
    const log = (line: LogLine) => void site.logs.push(line)
    const kinds = this.#kinds(world)
    const configuration = parseConfiguration(CONFIGURATION, { path: 'chartkeep.yaml' })
    const settings = serviceSettings(configuration, {
      kinds,
      repositoryId: repository.id,
      zone: 'UTC',
      nowMs: world.nowMs(),
    })
    const keeper = new CaptureKeeper({
      source: 'icu',
      capture: (onEvent, signal) => this.#capture(repository, world, onEvent, signal),
      audit: repository.audit,
      world,
      log,
    })
    const channel: Channel = {
      name: 'webhook people',
      send: async (message) => {
        if (this.#isDead) await new Promise<never>(() => {})
        if (site.trouble.receiver === 'down') throw new Failure('alarm-not-delivered', 'webhook people answered 502')
        site.messages.push({ atMs: clock.nowMs(), message })
      },
    }
    this.service = new ChartkeepService({
      repository,
      settings: { ...settings, leaseMs: LEASE_MS, turnMs: 2 * MINUTE_MS },
      kinds,
      captures: () => [keeper],
      watches: () => [
        watchProtection({
          source: 'icu',
          lagMsMax: settings.lagMsMax,
          status: () => this.#status(),
          onStatus: () => {},
        }),
      ],
      channels: [channel],
      heartbeat: {
        everyMs: 10 * MINUTE_MS,
        beat: async () => {
          if (!this.#isDead) site.beats.push(clock.nowMs())
        },
      },
      world,
      log,
      signal: this.#stop.signal,
    })
    this.running = this.service.run()
    this.running.catch((error) => {
      if (error instanceof Failure && error.code === 'job-stalled') onHopeless()
      else site.defects.push(String(error?.stack ?? error))
    })
  }

  /** As SIGKILL: nothing of it happens any more. */
  kill(): void {
    this.#isDead = true
    this.#store.die()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Failure('cancelled', 'stopped by the test'))
    await this.running
  }

  #kinds(world: ServiceWorld): Kinds {
    const kinds = JOB_KINDS.map((kind) => [kind, this.#kind(kind, world)])
    return Object.fromEntries(kinds) as Kinds
  }

  #kind(kind: JobKind, world: ServiceWorld): Kind {
    const site = this.#site
    const readsSource = kind === 'snapshot' || kind === 'compare'
    return {
      deed: `sim.${kind}`,
      perSource: readsSource || kind === 'drill' || kind === 'certificate',
      readsSource: kind === 'compare',
      lane: kind === 'snapshot' ? 'backup' : 'verify',
      run: async (request) => {
        await site.work(kind, MINUTES[kind], request, world, readsSource)
        site.succeeded(kind)
        if (kind !== 'check') return { ...NOTHING_FOUND, verdict: 'done', made: null, figures: {} }
        const verdict = site.trouble.damaged ? 'failed' : 'passed'
        return { ...NOTHING_FOUND, verdict, made: null, figures: {}, findingCount: site.trouble.damaged ? 1 : 0 }
      },
    }
  }

  async #capture(
    repository: Repository,
    world: ServiceWorld,
    onEvent: Parameters<ConstructorParameters<typeof CaptureKeeper>[0]['capture']>[0],
    signal: AbortSignal,
  ): Promise<void> {
    const site = this.#site
    const name = leaseName(repository.id, 'capture', 'icu')
    const leaseMs = LEASE_MS
    const { nowMs, sleep, host: holder } = world
    const lease = await acquireLease(repository, { name, holder, leaseMs, nowMs, sleep, signal })
    const [lost, over] = [new AbortController(), new AbortController()]
    const keeping = keepLease(lease, lost, over.signal, { sleep, everyMs: LEASE_MS / 4 })
    const stop = AbortSignal.any([signal, lost.signal])
    try {
      onEvent({ kind: 'connected', logId: 'log', end: '0/0', tables: 1 })
      for (let turn = 0; ; turn += 1) {
        await site.work('capture', 5, { repository, signal: stop, assertHeld: () => lease.assertHeld() }, world, true)
        site.keptUntilMs = site.clock.nowMs()
        onEvent({ kind: 'sealed', segment: turn, end: '0/0', transactions: 0, changes: 0, textBytes: 0, lagMs: null })
      }
    } finally {
      over.abort()
      await keeping
      await lease.release()
    }
  }

  async #status(): Promise<ProtectionStatus> {
    const { clock, keptUntilMs, gaps, trouble } = this.#site
    const until = new Date(keptUntilMs).toISOString()
    return {
      source: 'icu',
      at: new Date(clock.nowMs()).toISOString(),
      snapshot: null,
      log: null,
      capture: null,
      slot: null,
      protectedUntil: until,
      protectedAgeSeconds: (clock.nowMs() - keptUntilMs) / 1000,
      coarse: [],
      closed: [],
      gaps,
      lostTail: null,
      notAsked: trouble.database === 'down' ? ['the database: it does not answer'] : [],
    }
  }
}
