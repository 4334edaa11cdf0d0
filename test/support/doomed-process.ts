/**
 * A backup or a restore in a process of its own that kills itself, with SIGKILL, at a planned point: at a call to the
 * store (before it, or when it was carried out and not yet answered), or at an event of a restore's progress. A point
 * that is counted comes back in the next run of the test; one that is timed does not.
 *
 *     node doomed-process.ts '{"work":"backup", …}'      the plan as JSON (DoomedPlan)
 *
 * A run that comes to its end prints `{"points":N}`: how many points it passed. Otherwise its failure's code, and 1.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import { toFailureRecord } from '../../src/errors.ts'
import { BuildPool } from '../../src/intake/build-pool.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { resolveTarget } from '../../src/repository/state/target.ts'
import type { Store } from '../../src/repository/store/contract.ts'
import { openStore } from '../../src/repository/store/open.ts'
import { restoreDatabase } from '../../src/restore/database.ts'
import { openSource } from '../../src/source/open.ts'
import { TEST_SECRET } from './repository.ts'
import { wardLayout } from './ward.ts'

export interface DoomedPlan {
  readonly work: 'backup' | 'restore'
  readonly repositoryUrl: string
  /** Of the source, or of the database to restore into. */
  readonly databaseUrl: string
  /** From 1; 0 is never. */
  readonly killAtPoint: number
  /** Of a call to the store: killed when it was carried out. */
  readonly whenApplied?: boolean
  readonly packBytesTarget?: number
}

export interface DoomedEnd {
  readonly signal: NodeJS.Signals | null
  /** Of a run that came to its end, else null. */
  readonly points: number | null
  /** What the process printed. */
  readonly output: string
}

/** Of a restore's reports on rows, how many count: there are always more, but not always the same number. */
const ROW_POINTS = 5
const METHODS = new Set(['put', 'get', 'getRange', 'stat', 'delete', 'list'])

/** Runs a plan in a process of its own. */
export async function runDoomed(plan: DoomedPlan): Promise<DoomedEnd> {
  const args = ['--disable-warning=ExperimentalWarning', fileURLToPath(import.meta.url), JSON.stringify(plan)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const output = await text(child.stdout)
  const [status, signal] = (await exited) as [number | null, NodeJS.Signals | null]
  return { signal, points: status === 0 ? JSON.parse(output).points : null, output }
}

class Points {
  passed = 0
  readonly #plan: DoomedPlan

  constructor(plan: DoomedPlan) {
    this.#plan = plan
  }

  get isNext(): boolean {
    return this.passed + 1 === this.#plan.killAtPoint
  }

  pass(): void {
    if (this.isNext) process.kill(process.pid, 'SIGKILL')
    this.passed += 1
  }
}

function doomedStore(store: Store, points: Points, plan: DoomedPlan): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (!METHODS.has(String(name))) return value.bind(target)
      return (...args: unknown[]) => {
        const isLate = plan.whenApplied === true && name === 'put' && points.isNext
        if (!isLate) points.pass()
        const result: unknown = value.apply(target, args)
        return isLate ? Promise.resolve(result).then(() => points.pass()) : result
      }
    },
  })
}

async function backUp(plan: DoomedPlan, points: Points): Promise<void> {
  const settings = { url: plan.repositoryUrl }
  const store = await openStore(settings)
  await using repository = await openRepository(doomedStore(store, points, plan), settings, TEST_SECRET)
  await using source = await openSource({ url: plan.databaseUrl })
  await using pool = new BuildPool(2)
  await takeSnapshot({
    sourceName: 'icu',
    source,
    layout: wardLayout,
    repository,
    pool,
    signal: new AbortController().signal,
    nowMs: () => Date.now(),
    sleep: async () => {},
    onProgress: () => {},
    ...(plan.packBytesTarget === undefined ? {} : { packBytesTarget: plan.packBytesTarget }),
  })
}

async function restore(plan: DoomedPlan, points: Points): Promise<void> {
  const settings = { url: plan.repositoryUrl }
  await using repository = await openRepository(await openStore(settings), settings, TEST_SECRET)
  await using buildPool = new BuildPool(1)
  let rowPoints = 0
  await restoreDatabase({
    repository,
    manifest: (await resolveTarget({ repository, sourceName: 'icu', at: 'latest' })).base,
    into: { url: plan.databaseUrl },
    buildPool,
    signal: new AbortController().signal,
    nowMs: () => Date.now(),
    onProgress: ({ kind }) => {
      if (kind === 'rows') rowPoints += 1
      if (kind === 'stage' || rowPoints <= ROW_POINTS) points.pass()
    },
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const plan = JSON.parse(process.argv[2] ?? '') as DoomedPlan
  const points = new Points(plan)
  try {
    await (plan.work === 'backup' ? backUp : restore)(plan, points)
    process.stdout.write(JSON.stringify({ points: points.passed }))
  } catch (error) {
    process.stdout.write(JSON.stringify(toFailureRecord(error)))
    process.exitCode = 1
  }
}
