/**
 * The fault sweep: the calls of a clean backup are counted, and then each is made to fail in turn, in every way that a
 * real store can.
 *
 *     snapshot 1 ─→ a run that dies half-way ─→ [ snapshot 2, with one planned fault ] ─→ snapshot 3
 *
 * Claimed of every fault: what was planned did happen; the run either ends with a snapshot that is whole, or with a
 * Failure; every snapshot that is listed reads back row by row; the next run succeeds, and the ledger then holds every
 * snapshot once. Not claimed: that a lie about an object which can be made anew (a ledger's head or checkpoint) is
 * noticed, nor that a store which loses what it confirmed twice can be survived.
 */
import { isDeepStrictEqual } from 'node:util'
import { Failure } from '../../src/errors.ts'
import { PACK_PREFIX } from '../../src/repository/layout.ts'
import type { Store } from '../../src/repository/store/contract.ts'
import { realRetryPolicy, withRetries } from '../../src/repository/store/retry.ts'
import { fakeWard } from './fake-ward.ts'
import { FaultyStore, type Outcome, type StoreCall, type StoreFault, type StoreMethod } from './faulty-store.ts'
import { MemoryStore } from './memory-store.ts'
import { linesOfTables, readEverySnapshot, type SnapshotLines } from './read-back.ts'
import { copyOf, makeSimRepository, type SimRepository, simBackup } from './sim-repository.ts'

const DAY_MS = 86_400_000
const PACK_BYTES = 256
const SLOW_MS = 1
/** Packs that the run before had stored when it died. */
const PACKS_LEFT = 1

export interface SweepOptions {
  /** Rows of the large table. */
  readonly vitals: number
  /** Whether transient failures are tried again, as every opened store does it. */
  readonly retried?: boolean
}

export interface Sweep {
  /** Of a clean run. */
  readonly calls: readonly StoreCall[]
  readonly repository: SimRepository
  /** What every case starts from. */
  readonly start: MemoryStore
  readonly options: SweepOptions
}

/** What the run under the fault ended with: its snapshot, or the code of its failure. */
export interface CaseEnd {
  readonly snapshot: string | null
  readonly code: string
}

const inEveryMethod: readonly Outcome[] = ['lost', 'applied', 'slow', 'refused']
const inOneMethod: Readonly<Record<StoreMethod, readonly Outcome[]>> = {
  put: ['full', 'vanishes'],
  get: ['truncated'],
  getRange: ['wrong-range', 'truncated'],
  list: ['partial-listing', 'broken-listing', 'stale-listing'],
  stat: [],
  delete: [],
}

export async function prepareSweep(options: SweepOptions): Promise<Sweep> {
  const start = new MemoryStore()
  const repository = await makeSimRepository(start)
  await backUp(repository, start, { edition: 1, options })

  const counted = await callsOf({ repository, start, options, calls: [] })
  const packPuts = counted.flatMap(({ method, key }, index) =>
    method === 'put' && key.startsWith(PACK_PREFIX) ? [index + 1] : [],
  )
  const dying = new FaultyStore(start, [{ call: packPuts[PACKS_LEFT]!, outcome: 'lost', onward: true }])
  await backUp(repository, dying, { edition: 2, options }).catch(endOf)
  dying.assertAllFired()
  const stage = { repository, start, options }
  return { ...stage, calls: await callsOf({ ...stage, calls: [] }) }
}

/** Every call with every outcome that fits it, once and from there on. */
export function casesOf(calls: readonly StoreCall[]): StoreFault[] {
  return calls.flatMap(({ method }, index) =>
    [...inEveryMethod, ...inOneMethod[method]].flatMap((outcome) =>
      [false, true].map((onward) => ({ call: index + 1, outcome, onward })),
    ),
  )
}

/** A third of them: what an outcome does from there on is for the soak, but for the one that is most like a crash. */
export function casesForEveryDay(calls: readonly StoreCall[]): StoreFault[] {
  const rare: readonly Outcome[] = ['slow', 'refused']
  return casesOf(calls).filter(({ call, outcome, onward }) =>
    onward ? outcome === 'lost' && call % 2 === 0 : !rare.includes(outcome),
  )
}

/** Each call once: lost, or applied and not acknowledged, in turn. */
export function transientCases(calls: readonly StoreCall[]): StoreFault[] {
  return calls.map((_, index) => ({ call: index + 1, outcome: index % 2 === 0 ? 'lost' : 'applied' }))
}

/**
 * `store`: in the state of `sweep.start`, a copy of it when not given.
 * @throws when anything that is claimed does not hold
 */
export async function runCase(sweep: Sweep, fault: StoreFault, store: Store = copyOf(sweep.start)): Promise<CaseEnd> {
  const faulty = new FaultyStore(store, [fault])
  setTimeout(() => faulty.release(), SLOW_MS)
  const policy = { ...realRetryPolicy, attempts: 3, sleep: async () => {} }
  const end = await runThrough(sweep, sweep.options.retried ? withRetries(faulty, policy) : faulty, store)
  faulty.assertAllFired()
  return end
}

/**
 * The second snapshot through `through`, a way to `store` that may fail; the judgement, and the healing, on `store`.
 * @throws when anything that is claimed does not hold
 */
export async function runThrough(sweep: Sweep, through: Store, store: Store): Promise<CaseEnd> {
  const { options, repository } = sweep
  const end = await backUp(repository, through, { edition: 2, options }).then(wholeEnd, endOf)

  const found = await readEverySnapshot(repository.over(store))
  const expected = [1, 2].map((edition) => linesOfTables(fakeWard({ vitals: options.vitals, edition })))
  if (found.size === 0) throw new Error('the first snapshot is not there any more')
  if (end.snapshot !== null && !found.has(end.snapshot)) throw new Error('a snapshot was reported that is not there')
  assertSame([...found.values()], expected.slice(0, found.size), 'after the fault')
  await heal(sweep, store, [...found.values()])
  return end
}

async function heal({ repository, options }: Sweep, store: Store, earlier: readonly SnapshotLines[]): Promise<void> {
  await backUp(repository, store, { edition: 3, options })

  const opened = repository.over(store)
  const found = await readEverySnapshot(opened)
  const third = linesOfTables(fakeWard({ vitals: options.vitals, edition: 3 }))
  assertSame([...found.values()], [...earlier, third], 'after the next run')
  const logged = (await opened.ledger.read()).entries.map(({ entry }) => entry.snapshot)
  assertSame(logged.toSorted(), [...found.keys()].toSorted(), 'in the ledger')
}

async function callsOf({ repository, start, options }: Sweep): Promise<readonly StoreCall[]> {
  const counting = new FaultyStore(copyOf(start))
  await backUp(repository, counting, { edition: 2, options })
  return counting.calls
}

async function backUp(
  repository: SimRepository,
  store: Store,
  { edition, options }: { readonly edition: number; readonly options: SweepOptions },
): Promise<string> {
  const tables = fakeWard({ vitals: options.vitals, edition })
  const opened = repository.over(store)
  const run = { repository: opened, tables, atMs: edition * DAY_MS, packBytesTarget: PACK_BYTES }
  return (await simBackup(run)).snapshot
}

function wholeEnd(snapshot: string): CaseEnd {
  return { snapshot, code: 'whole' }
}

/** Anything but a Failure of the table, a defect among them, is a fault of ours. */
function endOf(error: unknown): CaseEnd {
  if (!(error instanceof Failure) || error.code === 'defect') throw error
  return { snapshot: null, code: error.code }
}

function assertSame(found: unknown, expected: unknown, when: string): void {
  if (isDeepStrictEqual(found, expected)) return
  throw new Error(`not what it must be ${when}: ${JSON.stringify(found).slice(0, 200)}`)
}
