/**
 * A week of the service with faults at random hours, and what must hold at its end: what had to happen happened, or people
 * were told; nothing ran twice at once, nor twice for one time; and the service came back by itself.
 */
import { JOB_KINDS, type Job } from '../../../src/service/contract.ts'
import { JobStore } from '../../../src/service/jobs/job-store.ts'
import { taskName } from '../../../src/service/jobs/task.ts'
import { CONFIGURATION, HOUR_MS, MINUTE_MS, PLANTED, SimProcess, Site, type Write } from './site.ts'
import { VirtualClock } from './virtual-clock.ts'

const WEEK_MS = 7 * 24 * HOUR_MS
/** Nothing new goes wrong at the end: by then all of it must be well again. */
const CALM_MS = 32 * HOUR_MS
/** Midnights before which clocks are moved, months end, years begin, February is long. */
const STARTS = ['2026-03-26', '2026-10-22', '2026-12-28', '2028-02-25', '2026-06-08']

export const FAULTS = [
  'database-down',
  'store-down',
  'store-full',
  'killed',
  'both-killed',
  'clock-moved',
  'slot-lost',
  'hang',
  'damage',
  'receiver-down',
] as const
type FaultKind = (typeof FAULTS)[number]

interface Fault {
  readonly kind: FaultKind
  readonly fromMs: number
  readonly toMs: number
  readonly host: number
  readonly byMs: number
}

export interface WeekReport {
  readonly start: string
  readonly faults: readonly string[]
  /** What did not hold. */
  readonly broken: readonly string[]
  readonly jobs: number
  readonly messages: number
}

interface Host {
  readonly name: string
  offsetMs: number
  process: SimProcess | null
}

export async function runWeek(seed: number, options: { readonly faults?: number } = {}): Promise<WeekReport> {
  const random = dice(seed)
  const start = STARTS[Math.floor(random() * STARTS.length)]!
  const startMs = Date.parse(`${start}T00:00:00Z`) + Math.floor(random() * HOUR_MS)
  const clock = new VirtualClock(startMs)
  const site = new Site(clock)
  await site.init()
  const faults = makeFaults(random, startMs, options.faults ?? 8)
  const hosts: Host[] = ['chartkeep@icu-1', 'chartkeep@icu-1'].map((name) => ({ name, offsetMs: 0, process: null }))
  for (const host of hosts) startOn(site, host)
  void playFaults(site, hosts, faults)
  await clock.runUntil(startMs + WEEK_MS)

  const records = await readRecords(site)
  const broken = [
    ...site.defects,
    ...interleaved(site.writes),
    ...twiceForOneTime(records),
    ...silences(site, startMs),
    ...faults.flatMap((fault) => untold(site, fault)),
    ...(await notWell(site, hosts)),
    ...leaks(site),
  ]
  for (const { process } of hosts) process?.kill()
  const shown = faults.map(({ kind, fromMs, toMs }) => `${kind} ${iso(fromMs)} to ${iso(toMs)}`)
  return { start, faults: shown, broken, jobs: records.length, messages: site.messages.length }
}

function startOn(site: Site, host: Host): void {
  const process = new SimProcess(site, host, () => {
    process.kill()
    if (host.process === process) startOn(site, host)
  })
  host.process = process
}

function makeFaults(random: () => number, startMs: number, count: number): Fault[] {
  const between = (low: number, high: number) => low + random() * (high - low)
  return Array.from({ length: count }, () => {
    const fromMs = startMs + between(2 * HOUR_MS, WEEK_MS - CALM_MS - 6 * HOUR_MS)
    return {
      kind: FAULTS[Math.floor(random() * FAULTS.length)]!,
      fromMs,
      toMs: fromMs + between(10 * MINUTE_MS, 5 * HOUR_MS),
      host: Math.floor(random() * 2),
      byMs: (random() < 0.5 ? -1 : 1) * between(10 * MINUTE_MS, 60 * MINUTE_MS),
    }
  }).sort((a, b) => a.fromMs - b.fromMs)
}

/** Each on its own; of two that meet, the later end ends both. */
async function playFaults(site: Site, hosts: readonly Host[], faults: readonly Fault[]): Promise<void> {
  const { clock } = site
  await Promise.all(
    faults.map(async (fault) => {
      await clock.sleep(fault.fromMs - clock.nowMs())
      begin(site, hosts, fault)
      await clock.sleep(fault.toMs - clock.nowMs())
      const isLast = (kind: FaultKind) =>
        !faults.some((other) => other.kind === kind && other.fromMs < fault.toMs && other.toMs > fault.toMs)
      end(site, hosts, fault, isLast)
    }),
  )
}

function begin(site: Site, hosts: readonly Host[], { kind, host, byMs }: Fault): void {
  const { trouble, store, clock } = site
  switch (kind) {
    case 'database-down':
      trouble.database = 'down'
      return
    case 'store-down':
      store.state = 'down'
      return
    case 'store-full':
      store.state = 'full'
      return
    case 'killed':
      hosts[host]!.process?.kill()
      hosts[host]!.process = null
      return
    case 'both-killed':
      for (const each of hosts) {
        each.process?.kill()
        each.process = null
      }
      return
    case 'clock-moved':
      hosts[host]!.offsetMs = byMs
      return
    case 'slot-lost':
      site.gaps.push({ from: null, to: `${clock.nowMs()}`, begunAt: iso(clock.nowMs()), reason: 'the slot was lost' })
      return
    case 'hang':
      trouble.hangs = true
      return
    case 'damage':
      trouble.damaged = true
      return
    case 'receiver-down':
      trouble.receiver = 'down'
  }
}

function end(site: Site, hosts: readonly Host[], { kind, host }: Fault, isLast: (kind: FaultKind) => boolean): void {
  const { trouble, store } = site
  const restart = (each: Host) => {
    if (each.process === null) startOn(site, each)
  }
  if (kind === 'database-down' && isLast(kind)) trouble.database = 'up'
  if ((kind === 'store-down' || kind === 'store-full') && isLast('store-down') && isLast('store-full'))
    store.state = 'up'
  if (kind === 'killed') restart(hosts[host]!)
  if (kind === 'both-killed') for (const each of hosts) restart(each)
  if (kind === 'clock-moved') hosts[host]!.offsetMs = 0
  if (kind === 'hang' && isLast(kind)) trouble.hangs = false
  if (kind === 'damage' && isLast(kind)) trouble.damaged = false
  if (kind === 'receiver-down' && isLast(kind)) trouble.receiver = 'up'
}

async function readRecords(site: Site): Promise<Job[]> {
  const repository = site.repository()
  const store = new JobStore(repository)
  const names = JOB_KINDS.flatMap((kind) => [null, 'icu'].map((source) => taskName(repository.id, kind, source)))
  const jobs: Job[] = []
  for (const name of names) jobs.push(...(await store.newest(name, 2_000)))
  return jobs
}

/** Writes of two runs of one task that are mixed: both thought that the task was theirs. */
function interleaved(writes: readonly Write[]): string[] {
  const found: string[] = []
  for (const task of new Set(writes.map((write) => write.task))) {
    const over = new Set<number>()
    let current = -1
    for (const { run, atMs } of writes.filter((write) => write.task === task)) {
      if (run === current) continue
      if (over.has(run)) found.push(`two runs of ${task} wrote by turns at ${iso(atMs)}`)
      over.add(current)
      current = run
    }
  }
  return found
}

function twiceForOneTime(jobs: readonly Job[]): string[] {
  const done = jobs.filter(({ state, dueAt }) => state === 'done' && dueAt !== null)
  const seen = new Set<string>()
  return done.flatMap(({ kind, dueAt }) => {
    const key = `${kind} due ${dueAt}`
    if (seen.has(key)) return [`${key} was done twice`]
    seen.add(key)
    return []
  })
}

const DEADLINES_MS: Readonly<Record<string, number>> = {
  snapshot: 4 * HOUR_MS,
  check: 30 * HOUR_MS,
  scrub: 30 * HOUR_MS,
  compare: 20 * HOUR_MS,
  prune: 30 * HOUR_MS,
  capture: 30 * MINUTE_MS,
}
/** From when a deadline has passed to when people know, at the latest: a receiver that is down, a leader that must change. */
const TELLING_MS = HOUR_MS

/** Times without a success beyond the deadline of which nobody heard, neither by a message nor by missing signs of life. */
function silences(site: Site, startMs: number): string[] {
  const endMs = site.clock.nowMs()
  const captured = site.writes.filter(({ task }) => task === 'capture').map(({ atMs }) => ({ task: 'capture', atMs }))
  return Object.entries(DEADLINES_MS).flatMap(([task, deadlineMs]) => {
    const times = [...site.successes, ...captured].filter((success) => success.task === task).map(({ atMs }) => atMs)
    const all = [startMs, ...times, endMs]
    return all.slice(1).flatMap((next, index) => {
      const last = all[index]!
      if (next - last <= deadlineMs + TELLING_MS) return []
      const heard = wereTold(site, last + MINUTE_MS, next) || beatsMissed(site, last, next)
      return heard ? [] : [`no ${task} from ${iso(last)} to ${iso(next)}, and nobody was told`]
    })
  })
}

function wereTold(site: Site, fromMs: number, toMs: number, kinds?: readonly string[]): boolean {
  return site.messages.some(
    ({ atMs, message }) =>
      atMs >= fromMs && atMs <= toMs && message.open.some(({ kind }) => kinds === undefined || kinds.includes(kind)),
  )
}

function beatsMissed(site: Site, fromMs: number, toMs: number): boolean {
  const beats = [fromMs, ...site.beats.filter((atMs) => atMs > fromMs && atMs < toMs), toMs]
  return beats.slice(1).some((atMs, index) => atMs - beats[index]! > 30 * MINUTE_MS)
}

const TELLS: Readonly<Partial<Record<FaultKind, readonly string[]>>> = {
  'database-down': ['not-watched', 'lag', 'capture-down', 'job-failed'],
  'store-down': ['not-watched', 'lag', 'job-failed', 'capture-down'],
  'store-full': ['job-failed', 'capture-down', 'lag', 'no-success'],
  'slot-lost': ['gap'],
}

/** A fault that lasted long enough to be noticed, and of which nobody heard. */
function untold(site: Site, { kind, fromMs, toMs }: Fault): string[] {
  const kinds = TELLS[kind]
  const isShort = toMs - fromMs < 90 * MINUTE_MS
  if (!kinds || (isShort && kind !== 'slot-lost')) return []
  const untilMs = kind === 'slot-lost' ? site.clock.nowMs() : toMs + 6 * HOUR_MS
  if (wereTold(site, fromMs, untilMs, kinds) || beatsMissed(site, fromMs, toMs)) return []
  return [`${kind} from ${iso(fromMs)} to ${iso(toMs)}, and nobody was told`]
}

/** At the end of a calm day everything runs, and no alarm is left but what a person must look at. */
async function notWell(site: Site, hosts: readonly Host[]): Promise<string[]> {
  const nowMs = site.clock.nowMs()
  const late = Object.entries(DEADLINES_MS).flatMap(([task, deadlineMs]) => {
    const captured = site.writes.findLast((write) => write.task === task)
    const last = task === 'capture' ? captured?.atMs : site.successes.findLast((each) => each.task === task)?.atMs
    return last !== undefined && nowMs - last <= deadlineMs
      ? []
      : [`${task} does not run at the end, last ${last && iso(last)}`]
  })
  const leader = hosts.find(({ process }) => process?.service.health().role === 'leader')?.process
  if (!leader) return [...late, 'nobody leads at the end']
  const open = (await leader.service.alarms.list()).filter(({ kind }) => kind !== 'gap')
  const shown = open.map(
    ({ kind, text, raisedAt }) => `at the end an alarm is open: ${kind} since ${raisedAt}: ${text.en}`,
  )
  const dead = hosts.filter(({ process }) => process?.service.health().isAlive !== true)
  return [...late, ...shown, ...dead.map(({ name }) => `the loops of ${name} stand still`)]
}

/** What stands for a row got into a log, a message, or a metric (F42). */
function leaks(site: Site): string[] {
  const whole = JSON.stringify([site.logs, site.messages])
  return whole.includes(PLANTED) ? ['a planted row value got out'] : []
}

function dice(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export const TASKS_OF_WEEK = [...CONFIGURATION.matchAll(/^ {4}(\w+):/gm)].map(([, name]) => name!)
