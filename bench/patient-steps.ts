/**
 * A plan for one patient, carried out, and what each step took: time on the wall, processor time, bytes and requests of
 * the store, statements of the database. One line of JSON.
 *
 *     node bench/patient-steps.ts CONFIGURATION SOURCE PATIENT AT
 */
import { randomBytes } from 'node:crypto'
import { tmpdir, userInfo } from 'node:os'
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { chooseSource, loadConfiguration } from '../src/config.ts'
import { Repository } from '../src/repository/repository.ts'
import { openRepository } from '../src/repository/repository-lifecycle.ts'
import type { Store } from '../src/repository/store/contract.ts'
import { openStore } from '../src/repository/store/open.ts'
import { applyPlan } from '../src/restore/patient/apply.ts'
import { withStateAt } from '../src/restore/patient/look.ts'
import { makePatientPlan } from '../src/restore/patient/make-plan.ts'
import { repositorySecret, sourceConnection, storeSettings, writerConnection } from '../src/secrets.ts'
import { processWorld } from '../src/world.ts'

export interface Step {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly bytesFetched: number
  readonly requests: number
  readonly statements: number
}

export interface PatientSteps {
  readonly plan: Step
  readonly apply: Step
  /** Rows written, and the text of the lines that the plan holds. */
  readonly rows: number
  readonly textBytes: number
}

const counted = { bytesFetched: 0, requests: 0, statements: 0 }

/** Counts what comes from the store. */
function counting(store: Store): Store {
  const taken = (bytes: Uint8Array): Uint8Array => {
    counted.requests += 1
    counted.bytesFetched += bytes.length
    return bytes
  }
  const asked = <T>(answer: T): T => {
    counted.requests += 1
    return answer
  }
  return {
    url: store.url,
    capabilities: store.capabilities,
    put: (key, bytes) => asked(store.put(key, bytes)),
    get: async (key) => taken(await store.get(key)),
    getRange: async (key, start, end) => taken(await store.getRange(key, start, end)),
    stat: (key) => asked(store.stat(key)),
    list: (prefix) => asked(store.list(prefix)),
    delete: (key) => store.delete(key),
    close: () => store.close(),
  }
}

async function step<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly took: Step }> {
  const [startedMs, usage, before] = [performance.now(), process.cpuUsage(), { ...counted }]
  const result = await work()
  const { user, system } = process.cpuUsage(usage)
  const took = {
    seconds: (performance.now() - startedMs) / 1000,
    cpuSeconds: (user + system) / 1e6,
    bytesFetched: counted.bytesFetched - before.bytesFetched,
    requests: counted.requests - before.requests,
    statements: counted.statements - before.statements,
  }
  return { result, took }
}

const [path = '', sourceName = '', patient = '', at = 'latest'] = process.argv.slice(2)
const world = processWorld()
const signal = new AbortController().signal
const query = pg.Client.prototype.query
pg.Client.prototype.query = function counts(this: pg.Client, ...given: unknown[]) {
  counted.statements += 1
  return (query as (...all: unknown[]) => unknown).apply(this, given)
} as typeof query

const configuration = await loadConfiguration({ path, world })
const configured = chooseSource(configuration, sourceName)
const settings = await storeSettings(configuration.repository, world)
const secret = await repositorySecret(world)
if (secret.kind !== 'passphrase') throw new Error('the benchmark has a passphrase')
const opened = await openRepository(await openStore(settings), settings, secret)
const { id, storeSettings: own, keyring } = opened
await using repository = new Repository({ id, storeSettings: own, keyring, store: counting(opened.store) })
const nowMs = () => Date.now()

const planned = await step(async () => {
  const connection = await sourceConnection(configured, world)
  return await withStateAt({ repository, sourceName, at }, { temporaryDirectory: tmpdir(), signal }, ({ stored }) =>
    makePatientPlan(
      { repository, connection, requester: 'bench', signal, nowMs, random: randomBytes },
      {
        stored,
        patient,
        asked: at,
        wish: { policy: 'changed', selection: { categories: null, tables: null }, acceptLoss: false },
      },
    ),
  )
})
const { plan } = planned.result
const applied = await step(async () =>
  applyPlan({
    repository,
    connection: await writerConnection(configured, world),
    plan,
    executor: userInfo().username,
    emergencyReason: null,
    onePerson: true,
    signal,
    nowMs,
    random: randomBytes,
  }),
)
const { inserted, updated, deleted } = applied.result
const rows = plan.tables.flatMap((table) => table.rows)
const textBytes = rows.reduce((sum, { past, present }) => sum + (past ?? present)!.length, 0)
const steps: PatientSteps = { plan: planned.took, apply: applied.took, rows: inserted + updated + deleted, textBytes }
process.stdout.write(`${JSON.stringify(steps)}\n`)
