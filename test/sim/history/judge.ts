/** Holds what is stored against what the oracle says. Findings name tables and counts, never rows. */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { Failure } from '../../../src/errors.ts'
import { listLogs, openLog } from '../../../src/repository/change-log/reader.ts'
import { formatLsn, parseLsn } from '../../../src/repository/lsn.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import { formatTimeUs } from '../../../src/repository/state/moment.ts'
import { stateAt } from '../../../src/repository/state/state.ts'
import { resolveTarget, type StateTarget } from '../../../src/repository/state/target.ts'
import { never } from '../../support/repository.ts'
import { type FollowOptions, rowsOf } from './chartkeep.ts'
import type { Dice } from './dice.ts'
import type { HistoryModel, Rows } from './model.ts'
import { differences } from './site.ts'

export interface JudgeOptions extends FollowOptions {
  readonly model: HistoryModel
  readonly dice: Dice
  /** In the order in which they were taken. */
  readonly manifests: readonly Manifest[]
}

export interface Judgement {
  readonly findings: readonly string[]
  readonly commits: number
  readonly transactionsKept: number
  readonly segments: number
  /** Tables, each at one moment, whose rows were compared. */
  readonly tablesJudged: number
  /** Tables, each at one moment, of which chartkeep said that it does not know. */
  readonly tablesClosed: number
  /** Moments that chartkeep said it does not have. */
  readonly momentsRefused: number
}

/** A commit behind the first snapshot may be stamped a little before it: there is no snapshot as old as that. */
const REFUSED: ReadonlySet<string> = new Set(['change-log-gap', 'snapshot-not-found'])

export class Judge {
  readonly #options: JudgeOptions
  readonly #findings: string[] = []
  /** Where the log's transactions end: those of tables that are not captured are not among them. */
  readonly #kept = new Set<bigint>()
  readonly #counts = { transactionsKept: 0, segments: 0, tablesJudged: 0, tablesClosed: 0, momentsRefused: 0 }

  constructor(options: JudgeOptions) {
    this.#options = options
  }

  get judgement(): Judgement {
    return { ...this.#counts, findings: this.#findings, commits: this.#options.model.commits.length }
  }

  async snapshots(): Promise<void> {
    const { made, manifests, model } = this.#options
    for (const manifest of manifests) {
      const found = await rowsOf(made.repository, manifest)
      const expected = model.rowsVisible(manifest.position.visible)
      this.#compare(`snapshot ${manifest.snapshotId} (${manifest.mode})`, manifest, expected, found)
      this.#sequence(manifest, found)
    }
  }

  /** Transactions are those that the database decoded, in that order, with that stamp. */
  async logs(): Promise<void> {
    const { model, made, sourceName } = this.#options
    const known = new Map(model.commits.map((commit, index) => [commit.endLsn, { commit, index }]))
    let before = -1
    for (const { logId } of (await listLogs(made.repository, sourceName)).logs) {
      const log = await openLog(made.repository, logId)
      const [last, end] = [model.commits.at(-1)?.endLsn ?? 0n, await log.end()]
      for await (const part of log.transactions({ toLsn: last < end ? last : end })) {
        if (!part.begins) continue
        this.#counts.transactionsKept += 1
        this.#kept.add(part.endLsn)
        const found = known.get(part.endLsn)
        const isSame = found?.commit.xid === BigInt(part.xid) && found.commit.timeUs === part.commitTimeUs
        if (!found || !isSame || found.index <= before)
          this.#findings.push(`the log's transaction ${part.xid} is another, or out of order`)
        before = found?.index ?? before
      }
      this.#counts.segments += ((await log.head())?.header.number ?? -1) + 1
    }
  }

  /** One at random behind the first snapshot: where a commit ends, a little before or behind it, or its time. */
  async moment(): Promise<void> {
    const { model, dice, manifests } = this.#options
    const position = parseLsn(manifests[0]!.position.lsn)
    const later = model.commits.filter(({ endLsn }) => endLsn >= position)
    if (later.length === 0) return
    const commit = dice.chance(0.1) ? later.at(-1)! : dice.pick(later)
    if (dice.chance(0.4)) {
      const bound = model.prefixAt(commit.timeUs, ({ endLsn }) => this.#kept.has(endLsn))
      if (bound >= position) await this.#state(formatTimeUs(commit.timeUs), bound)
    } else {
      const bound = commit.endLsn - BigInt(dice.pick([0, 0, 0, 8]))
      if (bound >= position) await this.#state(formatLsn(bound), bound)
    }
  }

  async #state(at: string, bound: bigint): Promise<void> {
    const { made, sourceName, model } = this.#options
    let target: StateTarget
    try {
      target = await resolveTarget({ repository: made.repository, sourceName, at, wanted: new Set() })
    } catch (error) {
      if (!(error instanceof Failure) || !REFUSED.has(error.code)) throw error
      this.#counts.momentsRefused += 1
      return
    }
    const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: never() }
    await using state = await stateAt(made.repository, target, world)
    const { base } = target
    const closed = new Set(target.closed.map(({ table }) => table))
    const coarse = new Set(target.coarse.map(({ table }) => table))
    const known = base.tables.filter(({ name }) => !closed.has(name))
    this.#counts.tablesClosed += base.tables.length - known.length

    const [then, atBase] = [model.rowsAt(bound), model.rowsVisible(base.position.visible)]
    const expected = new Map(known.map(({ name, oid }) => [oid, (coarse.has(name) ? atBase : then).get(oid) ?? []]))
    const tables = state.manifest.tables.filter(({ name }) => !closed.has(name))
    const found = await rowsOf(state.repository, state.manifest, tables)
    this.#compare(`the state at ${at} from ${base.snapshotId}`, base, expected, found)
  }

  /** May be younger than the rows, and never older than what they used up. */
  #sequence(manifest: Manifest, found: Rows): void {
    const { oid } = manifest.tables.find(({ name }) => name === 'public.ticket')!
    const used = (found.get(oid) ?? []).map((line) => Number(line.split('\t')[1]))
    const kept = manifest.sequences.find(({ name }) => name === 'public.ticket_serial_no_seq')
    if (used.some((number) => number > Number(kept?.lastValue ?? 0)))
      this.#findings.push(`snapshot ${manifest.snapshotId}: the sequence of public.ticket is older than its rows`)
  }

  #compare(what: string, manifest: Manifest, expected: Rows, found: Rows): void {
    this.#counts.tablesJudged += found.size
    for (const [oid, said] of Object.entries(differences(expected, found))) {
      const table = manifest.tables.find((each) => each.oid === oid)?.name ?? `of oid ${oid}`
      this.#findings.push(`${what}: table ${table}: ${said}`)
    }
  }
}
