/** Builds the trees of all tables of one consistent read, largest table first, as many at once as there are threads. */
import { tmpdir } from 'node:os'
import { assert } from '../errors.ts'
import type { RepositorySecrets } from '../repository/keyring.ts'
import type { StoreCapabilities, StoreSettings } from '../repository/store/contract.ts'
import type { TreeRoot } from '../repository/tree/tree-root.ts'
import type { ConsistentRead } from '../source/contract.ts'
import type { BuildPool, TableConsumer } from './build-pool.ts'
import type { TablePlan } from './table-plan.ts'

/**
 * Row text that one thread sorts in memory. With keys, order and the locator's rows beside it, a thread takes four times
 * as much; two threads and all that surrounds them stay below the 600 MB that a backup may take.
 */
const RUN_BYTES = 20 * 1024 * 1024

export interface PreviousTrees {
  readonly rows: TreeRoot | null
  readonly locator: TreeRoot | null
  /** Packs of the store that are not there, or not whole: nothing in them counts as stored. */
  readonly lostPacks: readonly string[]
}

export interface BuildAll {
  readonly read: ConsistentRead
  readonly plans: readonly TablePlan[]
  readonly pool: Pick<BuildPool, 'threads' | 'buildTable'>
  readonly secrets: RepositorySecrets
  readonly encode: boolean
  /** The store that `previousOf` speaks of. */
  readonly store: StoreSettings
  readonly capabilities: StoreCapabilities
  readonly previousOf: (plan: TablePlan) => PreviousTrees | null
  readonly consumerOf: (plan: TablePlan) => Promise<TableConsumer>
  /** After the last leaf of the table. */
  readonly onTableDone: (plan: TablePlan) => Promise<void>
  readonly signal: AbortSignal
  readonly runBytes?: number
}

/** @returns bytes read from the source. @throws the first failure; the other tables are then stopped */
export async function buildAllTables(build: BuildAll): Promise<number> {
  const stop = new AbortController()
  const signal = AbortSignal.any([build.signal, build.read.yielded, stop.signal])
  const waiting = [...build.plans].sort((a, b) => b.table.estimatedBytes - a.table.estimatedBytes)
  let bytesRead = 0

  const lane = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan; plan = waiting.shift()) {
      const bytes = await buildOne(build, plan, signal)
      bytesRead += bytes
      await build.onTableDone(plan)
    }
  }
  const lanes = Array.from({ length: build.pool.threads }, () =>
    lane().catch((error) => {
      stop.abort(error)
      throw error
    }),
  )
  const results = await Promise.allSettled(lanes)
  const failed = results.some((result) => result.status === 'rejected')
  // The first failure is the cause; what it stopped reports the same reason.
  if (failed) throw firstReason(build, stop.signal)
  return bytesRead
}

function firstReason(build: BuildAll, stopped: AbortSignal): unknown {
  if (build.signal.aborted) return build.signal.reason
  if (build.read.yielded.aborted) return build.read.yielded.reason
  return stopped.reason
}

async function buildOne(build: BuildAll, plan: TablePlan, signal: AbortSignal): Promise<number> {
  const table = build.read.tableTickets.find((ticket) => ticket.name === plan.table.name)
  assert(table, `the read has a ticket for ${plan.table.name}`)
  const previous = build.previousOf(plan)
  const task = {
    ticket: build.read.ticket,
    table,
    spec: plan.spec,
    secrets: build.secrets,
    previous: previous ? { store: build.store, capabilities: build.capabilities, ...previous } : null,
    encode: build.encode,
    runBytes: build.runBytes ?? RUN_BYTES,
    spillDirectory: tmpdir(),
  }
  return await build.pool.buildTable(task, await build.consumerOf(plan), signal)
}
