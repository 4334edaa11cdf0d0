/**
 * One history, by seed: played while chartkeep follows it and takes snapshots, with connections cut in between; then
 * judged at every snapshot and at many moments.
 */
import { randomBytes } from 'node:crypto'
import type { PostgresServer } from '../../../scripts/support/postgres-server.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import type { TestRepository } from '../../support/repository.ts'
import { backUp, type FollowOptions } from './chartkeep.ts'
import { drawDdl } from './ddl-actions.ts'
import { Dice } from './dice.ts'
import { Follower } from './follower.ts'
import { Judge, type Judgement } from './judge.ts'
import { judgePast } from './past-judge.ts'
import { Player } from './player.ts'
import { judgeLive, judgeRestored } from './rebuilt-judge.ts'
import { RememberingRepository } from './remembering.ts'
import { makeHistorySite } from './site.ts'
import { judgeStored, keepNewestOnly } from './tidying.ts'

export interface HistoryRequest {
  readonly server: PostgresServer
  readonly made: TestRepository
  readonly seed: number
  readonly turns: number
  /** Snapshots. */
  readonly rounds: number
  /** How many moments are looked at. */
  readonly looks: number
  /** Whether tables change their shape as well. */
  readonly ddl: boolean
  /** Whether capture is killed as well; it then runs in a process of its own. */
  readonly kills: boolean
  /** Whether capture loses its slot half-way, and another log begins. */
  readonly losesSlot: boolean
  /** Whether all snapshots but the newest are forgotten half-way, and what they alone needed is deleted; and all is scrubbed. */
  readonly forgets: boolean
}

export interface HistoryReport extends Judgement {
  /** Of each snapshot, in order, also of those forgotten since (F30). */
  readonly modes: readonly string[]
  /** How often capture connected; the first time included. */
  readonly connections: number
  readonly kills: number
  readonly logs: number
  /** Of some tables' past, each of which fitted the rows before it. */
  readonly events: number
}

export async function runHistory(request: HistoryRequest): Promise<HistoryReport> {
  const { server, made, seed, turns, rounds, ddl, kills, losesSlot, forgets } = request
  const dice = new Dice(seed)
  const name = `h${seed}_${randomBytes(3).toString('hex')}`
  await using site = await makeHistorySite(server, name)
  await using player = await Player.start({ url: site.url, dice, ...(ddl && { drawDdl }) })
  const options: FollowOptions = {
    made,
    url: site.url,
    sourceName: name,
    sealMs: dice.pick([20, 100, 400]),
    segmentTextBytes: dice.pick([5_000, 100_000, 8 * 1024 * 1024]),
  }
  // Nobody may be in a transaction when the slot is made: it would wait for him (P12).
  await player.play(dice.below(40))
  await player.settle()
  await using follower = new Follower(options, { ownProcess: kills })
  await follower.connected()

  const half = Math.floor((rounds - 1) / 2)
  const manifests: Manifest[] = []
  const modes: string[] = []
  for (let round = 0; round < rounds; round += 1) {
    if (round > 0) await player.play(turns / rounds)
    // Without a capture that runs, the snapshot would read everything, and say so.
    if (kills) await player.playDuring(follower.connected())
    player.isGentle = true
    const { snapshot, mode, modeReason } = await player.playDuring(backUp(options))
    modes.push(`${mode}: ${modeReason}`)
    player.isGentle = false
    manifests.push((await made.repository.readManifest(snapshot)).manifest)
    if (forgets && round === half) {
      await player.playDuring(keepNewestOnly(options))
      manifests.splice(0, half)
    }
    if (losesSlot && round === half) {
      await player.play(dice.below(turns / rounds))
      await follower.loseSlot(site.client, async () => {
        await player.play(dice.below(turns / rounds))
        await player.settle()
      })
    }
    if (kills && dice.chance(0.7)) await follower.killAndRestart()
    else if (dice.chance(0.7)) await follower.cutOff(site.client)
  }
  await player.play(turns / rounds)
  await player.settle()
  const model = await site.model()
  await follower.caughtUp()
  const compared = await judgeLive(options, { snapshot: manifests.at(-1)!, slips: !ddl, client: site.client })
  await follower.stop()

  const repository = RememberingRepository.over(made.repository)
  const asked = { ...options, made: { ...made, repository }, model, dice, manifests }
  const judge = new Judge(asked)
  await judge.snapshots()
  await judge.logs()
  for (let look = 0; look < request.looks; look += 1) await judge.moment()
  const restored = await judgeRestored({ ...asked, server })
  const stored = forgets ? await judgeStored(options) : []
  const past = await judgePast(asked)
  return {
    ...judge.judgement,
    findings: [...judge.judgement.findings, ...compared, ...restored, ...stored, ...past.findings],
    events: past.events,
    modes,
    connections: follower.kinds().filter((kind) => kind === 'connected').length,
    kills: follower.kinds().filter((kind) => kind === 'killed').length,
    logs: follower.kinds().filter((kind) => kind === 'log-begun').length,
  }
}
