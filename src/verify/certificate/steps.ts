/**
 * From baseline to end, snapshot by snapshot: for each step the transactions in between, as far as the change log tells
 * them. A step is *told* when the snapshot was carried on from the one before it; otherwise rows were read anew, and what
 * happened in between is known by its outcome alone.
 */
import { Failure } from '../../errors.ts'
import { TRANSACTIONS_SPEC } from '../../repository/fold/change-tree.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { timeUsOf } from '../../repository/state/moment.ts'
import { rowText } from '../../repository/tree/rows.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'

export interface PeriodStep {
  readonly index: number
  readonly previous: Manifest
  readonly manifest: Manifest
  /** The transactions since `previous`, or null where nothing tells them. */
  readonly transactions: StepTransactions | null
  /** Between these two moments of the source's clock, in microseconds since 1970. */
  readonly fromUs: number
  readonly untilUs: number
}

/** By number. */
export interface StepTransactions {
  readonly count: number
  readonly commitUs: Float64Array
  readonly xid: Uint32Array
  /** Of transactions that chartkeep itself wrote. */
  readonly marks: ReadonlyMap<number, string>
}

export interface Period {
  readonly baseline: Manifest
  readonly end: Manifest
  readonly steps: readonly PeriodStep[]
  /** Snapshots in between that could not be read, or are in the ledger and gone. */
  readonly missing: readonly string[]
}

/** @throws bad-usage when `end` is not after `baseline`, or of another source; repository-damaged, store-… */
export async function readPeriod(repository: Repository, baseline: Manifest, end: Manifest): Promise<Period> {
  if (baseline.snapshotId >= end.snapshotId || baseline.sourceName !== end.sourceName) {
    throw new Failure('bad-usage', `snapshot ${end.snapshotId} is none that follows ${baseline.snapshotId}`, {
      hints: ['Name two snapshots of one source, the older one as the baseline: `chartkeep snapshots` lists them.'],
    })
  }
  const { between, missing } = await snapshotsBetween(repository, baseline, end)
  const steps: PeriodStep[] = []
  let previous = baseline
  for (const manifest of [...between, end]) {
    const isWhole = !missing.some((id) => id > previous.snapshotId && id < manifest.snapshotId)
    steps.push(await readStep(repository, { index: steps.length, previous, manifest, isWhole }))
    previous = manifest
  }
  return { baseline, end, steps, missing }
}

/** The table with its changes in this step (null: there were none), or null where they are not told. */
export function toldTable({ transactions, manifest, previous }: PeriodStep, name: string): TableManifest | null {
  const table = manifest.tables.find((candidate) => candidate.name === name)
  if (!transactions || table?.taken !== 'folded') return null
  return previous.tables.some((before) => before.name === name) ? table : null
}

async function snapshotsBetween(repository: Repository, baseline: Manifest, end: Manifest) {
  const isBetween = (id: string) => id > baseline.snapshotId && id < end.snapshotId
  const there = (await repository.snapshotIds()).filter(isBetween)
  const { entries } = await repository.ledger.read()
  const gone = entries.map(({ entry }) => entry.snapshot).filter((id) => isBetween(id) && !there.includes(id))
  const between: Manifest[] = []
  const missing = [...gone]
  for (const id of there) {
    const read = await repository.tryManifest(id)
    if (read instanceof Failure) missing.push(id)
    else if (read.manifest.sourceName === baseline.sourceName) between.push(read.manifest)
  }
  return { between, missing: missing.sort() }
}

async function readStep(
  repository: Repository,
  step: { readonly index: number; readonly previous: Manifest; readonly manifest: Manifest; readonly isWhole: boolean },
): Promise<PeriodStep> {
  const { index, previous, manifest, isWhole } = step
  const root = manifest.log?.transactions
  const isTold = isWhole && root && manifest.log?.logId === previous.log?.logId
  const transactions = isTold ? await readTransactions(repository, manifest) : null
  const [fromUs, untilUs] = [previous, manifest].map(({ position }) => Number(timeUsOf(position.sourceTime)))
  return { index, previous, manifest, transactions, fromUs: fromUs!, untilUs: untilUs! }
}

async function readTransactions(repository: Repository, { log }: Manifest): Promise<StepTransactions> {
  const root = log!.transactions!
  const reader = new TreeReader(TRANSACTIONS_SPEC, repository.chunkReader(), repository.keyring.secrets)
  const commitUs = new Float64Array(root.rows)
  const xid = new Uint32Array(root.rows)
  const marks = new Map<number, string>()
  for await (const rows of reader.leaves(root)) {
    for (let row = 0; row < rows.count; row += 1) {
      const [number, id, , , time, mark] = rowText(rows, row).toString('latin1').split('\t')
      commitUs[Number(number)] = Number(timeUsOf(time!))
      xid[Number(number)] = Number(id)
      if (mark !== '\\N') marks.set(Number(number), mark!)
    }
  }
  return { count: root.rows, commitUs, xid, marks }
}
