/**
 * One history, by seed: played while chartkeep follows it and takes snapshots, with connections cut in between; then
 * judged at every snapshot and at many commits.
 */

import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import type { ChangeLog } from '../../../src/repository/change-log/reader.ts'
import { parseLsn } from '../../../src/repository/lsn.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import { advance } from '../../../src/repository/state/state.ts'
import { isVisible, parseVisibility } from '../../../src/repository/visibility.ts'
import { never, type TestRepository } from '../../support/repository.ts'
import { backUp, Follower, type FollowOptions, newestLog, rowsOf } from './chartkeep.ts'
import { Dice } from './dice.ts'
import type { HistoryModel } from './model.ts'
import { Player } from './player.ts'
import { differences, makeHistorySite } from './site.ts'
import { SNAPSHOT_TABLES } from './world.ts'

export interface HistoryRequest {
  readonly server: PostgresServer
  readonly made: TestRepository
  readonly seed: number
  readonly turns: number
  /** How many commits are looked at, for each snapshot that they follow. */
  readonly looks: number
}

export interface HistoryReport {
  /** What did not hold; without any row. */
  readonly findings: readonly string[]
  readonly commits: number
  readonly transactionsKept: number
  readonly segments: number
  readonly statesJudged: number
  readonly connections: number
}

const ROUNDS = 4

export async function runHistory(request: HistoryRequest): Promise<HistoryReport> {
  const { server, made, seed, turns } = request
  const dice = new Dice(seed)
  const name = `h${seed}_${randomBytes(3).toString('hex')}`
  await using site = await makeHistorySite(server, name)
  await using player = await Player.start({ url: site.url, dice })
  const options: FollowOptions = {
    made,
    url: site.url,
    sourceName: name,
    sealMs: dice.pick([20, 100, 400]),
    segmentTextBytes: dice.pick([5_000, 100_000, 8 * 1024 * 1024]),
  }
  await player.play(dice.below(40))
  await player.settle()
  const follower = new Follower(options)
  await follower.connected()

  const manifests: Manifest[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    await player.play(turns / ROUNDS / 2)
    player.isGentle = true
    const { snapshot } = await player.playDuring(backUp(options), turns / ROUNDS / 2)
    player.isGentle = false
    manifests.push((await made.repository.readManifest(snapshot)).manifest)
    if (dice.chance(0.7)) await follower.cutOff(site.client)
  }
  await player.play(turns / ROUNDS)
  await player.settle()
  const model = await site.model()
  await follower.caughtUp()
  await follower.stop()

  const judge = new Judge(request, model, await newestLog(options), dice)
  for (const manifest of manifests) await judge.snapshot(manifest)
  await judge.log()
  for (const manifest of manifests) await judge.statesAfter(manifest)
  return {
    ...judge.report(),
    connections: follower.events.filter(({ kind }) => kind === 'connected').length,
  }
}

class Judge {
  readonly #request: HistoryRequest
  readonly #model: HistoryModel
  readonly #log: ChangeLog
  readonly #dice: Dice
  readonly #findings: string[] = []
  #statesJudged = 0
  #transactionsKept = 0
  #segments = 0

  constructor(request: HistoryRequest, model: HistoryModel, log: ChangeLog, dice: Dice) {
    this.#request = request
    this.#model = model
    this.#log = log
    this.#dice = dice
  }

  report(): Omit<HistoryReport, 'connections'> {
    return {
      findings: this.#findings,
      commits: this.#model.commits.length,
      transactionsKept: this.#transactionsKept,
      segments: this.#segments,
      statesJudged: this.#statesJudged,
    }
  }

  async snapshot(manifest: Manifest): Promise<void> {
    const found = await rowsOf(this.#request.made.repository, manifest)
    const expected = this.#model.rowsVisible(manifest.position.visible)
    this.#note(`snapshot ${manifest.snapshotId}`, manifest, differences(expected, found))
    this.#statesJudged += 1
  }

  /** Transactions are those that the database decoded, in that order, with that stamp. */
  async log(): Promise<void> {
    const known = new Map(this.#model.commits.map((commit, index) => [commit.endLsn, { commit, index }]))
    const end = this.#model.commits.at(-1)?.endLsn ?? 0n
    let before = -1
    for await (const part of this.#log.transactions({ toLsn: end })) {
      if (!part.begins) continue
      this.#transactionsKept += 1
      const found = known.get(part.endLsn)
      const isSame = found?.commit.xid === BigInt(part.xid) && found.commit.timeUs === part.commitTimeUs
      if (!found || !isSame || found.index <= before)
        this.#findings.push(`the log's transaction ${part.xid} is another, or out of order`)
      before = found?.index ?? before
    }
    this.#segments = ((await this.#log.head())?.header.number ?? -1) + 1
  }

  async statesAfter(manifest: Manifest): Promise<void> {
    const position = parseLsn(manifest.position.lsn)
    const later = this.#model.commits.filter(({ endLsn }) => endLsn >= position)
    for (let look = 0; look < this.#request.looks && later.length > 0; look += 1) {
      const isLast = look === 0
      await this.#state(manifest, isLast ? later.at(-1)!.endLsn : this.#dice.pick(later).endLsn)
    }
  }

  async #state(manifest: Manifest, bound: bigint): Promise<void> {
    const visible = parseVisibility(manifest.position.visible)
    const base = {
      ...manifest,
      tables: manifest.tables.map((table) => {
        const isCoarse = SNAPSHOT_TABLES.includes(table.name)
        return { ...table, resolution: isCoarse ? ('snapshot' as const) : ('transaction' as const) }
      }),
      log: { logId: this.#log.start.logId, scanFrom: '0/0', scanSegment: 0, head: null, transactions: null },
    }
    const toSegment = await this.#log.locate(bound)
    const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: never() }
    await using state = await advance(this.#request.made.repository, world, {
      base,
      stretch: { log: this.#log, fromSegment: 0, toSegment, bound },
      accept: ({ xid }) => !isVisible(visible, xid),
      isFolded: () => true,
    })
    const fine = state.manifest.tables.filter(({ name }) => !SNAPSHOT_TABLES.includes(name))
    const oids = new Set(fine.map(({ oid }) => oid))
    const expected = new Map([...this.#model.rowsAt(bound)].filter(([oid]) => oids.has(oid)))
    const wrong = differences(expected, await rowsOf(state.repository, state.manifest, fine))
    this.#note(`${manifest.snapshotId} advanced to ${bound}`, manifest, wrong)
    this.#statesJudged += 1
  }

  #note(what: string, manifest: Manifest, wrong: Readonly<Record<string, string>>): void {
    for (const [oid, said] of Object.entries(wrong)) {
      const table = manifest.tables.find((each) => each.oid === oid)?.name ?? `of oid ${oid}`
      this.#findings.push(`${what}: table ${table}: ${said}`)
    }
  }
}
