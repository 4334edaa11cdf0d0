/** One accident, one repair, one undo: planned and applied by the product's own calls, judged by the oracle. */
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { Random } from '../../../../scripts/reference/random.ts'
import { Failure } from '../../../../src/errors.ts'
import { type AppliedPlan, applyPlan } from '../../../../src/restore/patient/apply.ts'
import { withStateAt } from '../../../../src/restore/patient/look.ts'
import {
  type MadePlan,
  makePatientPlan,
  makeUndoPlan,
  type PlanOrder,
} from '../../../../src/restore/patient/make-plan.ts'
import { POLICIES } from '../../../../src/restore/patient/plan.ts'
import type { ReadPlan } from '../../../../src/restore/patient/plan-document.ts'
import type { Selection } from '../../../../src/restore/patient/selection.ts'
import { never } from '../../../support/repository.ts'
import { befall } from './accidents.ts'
import { leftIn, leftOut, type Repair, unwanted } from './judge.ts'
import { withoutObstacle } from './obstacles.ts'
import { differing, putBack, rowId, type Seen, type SeenRow, see } from './rows.ts'
import type { AccidentSite, SeenMoment } from './site.ts'
import { startTraffic } from './traffic.ts'

export interface AccidentRound {
  /** What did not hold. */
  readonly findings: readonly string[]
  /** What happened, and what was asked for. */
  readonly story: string
  readonly figures: Readonly<Record<string, number>>
}

const TRIES_MAX = 6

export async function playRound(site: AccidentSite, seed: number, withTraffic: boolean): Promise<AccidentRound> {
  const round = new Round(site, seed)
  try {
    await round.play(withTraffic)
  } catch (error) {
    round.findings.push(error instanceof Error ? (error.stack ?? error.message) : 'something of no known kind')
  }
  await site.client.query('ROLLBACK')
  await putBack(site.client, site, site.origin)
  return { findings: round.findings, story: round.story.join('; '), figures: round.figures }
}

class Round {
  readonly findings: string[] = []
  readonly story: string[] = []
  readonly figures: Record<string, number> = {}
  readonly #site: AccidentSite
  readonly #random: Random
  readonly #moment: SeenMoment
  readonly #patient: string
  readonly #seed: number

  constructor(site: AccidentSite, seed: number) {
    this.#site = site
    this.#seed = seed
    this.#random = new Random(seed, 'accident')
    this.#moment = this.#random.pick(site.moments)
    this.#patient = this.#random.pick(patientsOf(site, this.#moment.seen))
  }

  async play(withTraffic: boolean): Promise<void> {
    const { client, place, world, url } = this.#site
    const random = this.#random
    const patient = this.#patient
    const others = patientsOf(this.#site, this.#site.origin).filter((other) => other !== patient)
    this.story.push(...(await befall(this.#site, random, { patient, others })))
    const before = await see(client, world)
    const policy = random.pick(POLICIES)
    const chosen = this.#choose(before)
    const asked = random.pick(this.#moment.asked)
    this.story.push(`patient ${patient} ${policy} ${chosen.words} at ${asked}`)
    const traffic = withTraffic ? await startTraffic({ place, url, client, seed: this.#seed, patient }) : null
    const made = () => this.#plan(asked, { policy, selection: chosen.selection, acceptLoss: false })
    const trailBefore = await this.#trail()
    const applied = await this.#carryOut(made, withTraffic)
    const after = await see(client, world)
    const trailAfter = await this.#trail()
    const undone = applied ? await this.#carryOut(() => this.#undo(applied.changesetId), withTraffic) : null
    const report = await traffic?.stop()
    const last = await see(client, world)
    const isTouched = report?.isTouched ?? (() => false)
    const repair = { patient, policy, past: this.#moment.seen, before, after, isSelected: chosen.isSelected, isTouched }
    if (!applied) this.#expectSame(before, after, isTouched, 'nothing was applied')
    this.findings.push(...unwanted(repair))
    if (!report && applied) this.#judgeTrail(repair, applied, trailAfter - trailBefore)
    if (undone) this.#expectSame(before, last, isTouched, 'all was undone')
    else if (applied && !report) this.findings.push('what was applied was not undone')
    if (report) {
      this.#count('transactions of wards', report.transactions)
      this.figures['slowest of a ward ms'] = Math.round(report.slowestMs)
      for (const [code, count] of Object.entries(report.errors)) this.#count(`of wards ended by ${code}`, count)
    } else if (applied) await this.#again(repair, made)
  }

  /** What was left is looked at in the state behind the repair: it is carried out once more, which must change nothing else. */
  async #again(repair: Repair, made: () => Promise<MadePlan>): Promise<void> {
    const { client, world } = this.#site
    await this.#carryOut(made, false)
    const again = await see(client, world)
    this.#expectSame(repair.after, again, () => false, 'the same was repaired again')
    const trial = { site: this.#site, patient: this.#patient }
    const left = leftOut(repair)
    this.#count('rows left out', left.length)
    for (const row of await withoutObstacle(trial, left)) {
      this.findings.push(`${row.table.name}: a row was left out that nothing stands against: ${row.key}`)
    }
    this.#count('rows left in', leftIn(repair).length)
  }

  #choose(before: Seen): { selection: Selection; isSelected: (row: SeenRow) => boolean; words: string } {
    const random = this.#random
    const all = { selection: { categories: null, tables: null }, isSelected: () => true, words: 'all' }
    const { categories: known, tables } = this.#site.world
    const dice = random.unit()
    if (dice < 0.5) return all
    if (dice < 0.65) {
      const names = new Set([random.pick(Object.keys(known)), random.pick(Object.keys(known))])
      const within = new Set([...names].flatMap((name) => known[name]!))
      const isSelected = ({ table }: SeenRow) => within.has(table.name)
      return { selection: { categories: names, tables: null }, isSelected, words: [...names].join('+') }
    }
    if (dice < 0.8) {
      const owned = tables.filter(({ owner }) => owner !== 'NULL')
      const names = new Set([random.pick(owned).name, random.pick(owned).name])
      const isSelected = ({ table }: SeenRow) => names.has(table.name)
      return { selection: { categories: null, tables: names }, isSelected, words: [...names].join('+') }
    }
    const rows = [...this.#moment.seen.values()].filter(
      ({ owner, table }) => owner === this.#patient && table.key.length > 0,
    )
    const lost = rows.filter((row) => before.get(idOf(row))?.line !== row.line)
    if (lost.length === 0) return all
    const wanted = new Set(Array.from({ length: random.within(1, 12) }, () => random.pick(lost)))
    const ids = new Set([...wanted].map(idOf))
    const selected = [...wanted].map(({ table, key }) => ({ table: table.name, key }))
    const selection = { categories: null, tables: null, rows: selected }
    return { selection, isSelected: (row) => ids.has(idOf(row)), words: `${wanted.size} rows` }
  }

  async #plan(asked: string, wish: Parameters<typeof makePatientPlan>[1]['wish']): Promise<MadePlan> {
    const { repository } = this.#site
    const world = { temporaryDirectory: tmpdir(), signal: never() }
    return await withStateAt({ repository, sourceName: 'icu', at: asked }, world, ({ stored }) =>
      makePatientPlan(this.#order(), { stored, patient: this.#patient, asked, wish }),
    )
  }

  async #undo(changesetId: string): Promise<MadePlan> {
    return await makeUndoPlan(this.#order(), changesetId)
  }

  #order(): PlanOrder {
    const { repository, url } = this.#site
    return {
      repository,
      connection: { url },
      requester: 'Wang Fang',
      signal: never(),
      nowMs: Date.now,
      random: randomBytes,
    }
  }

  /** Null when there was nothing to write, or it was refused: then nothing may have been written. */
  async #carryOut(made: () => Promise<MadePlan>, withTraffic: boolean): Promise<AppliedPlan | null> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const applied = await this.#apply((await made()).plan)
        this.#count('applied', 1)
        for (const kind of ['inserted', 'updated', 'deleted'] as const) this.#count(kind, applied[kind])
        return applied
      } catch (error) {
        if (!(error instanceof Failure)) throw error
        if (error.code === 'plan-refused' && /has nothing to write/.test(error.message)) {
          this.#count('nothing to write', 1)
          return null
        }
        if (withTraffic && error.code === 'plan-moved' && attempt < TRIES_MAX) {
          this.#count('planned again beside wards', 1)
          continue
        }
        const { constraint = '', sqlstate = '' } = error.context as Record<string, string>
        this.#count(`refused: ${error.code} ${constraint} ${sqlstate} ${error.message.slice(0, 110)}`, 1)
        return null
      }
    }
  }

  async #apply(plan: ReadPlan): Promise<AppliedPlan> {
    const { repository, url } = this.#site
    return await applyPlan({
      repository,
      connection: { url },
      plan,
      executor: 'Zhao Min',
      emergencyReason: null,
      onePerson: true,
      searchPath: 'public',
      triggerColumns: new Set(['public.clinical_document.updated_at']),
      signal: never(),
      nowMs: Date.now,
      random: randomBytes,
    })
  }

  #expectSame(a: Seen, b: Seen, isTouched: (row: SeenRow) => boolean, when: string): void {
    const off = differing(a, b).filter((id) => !isTouched((a.get(id) ?? b.get(id))!))
    if (off.length > 0) this.findings.push(`${when}, and ${off.length} rows differ: ${off.slice(0, 4).join(' ')}`)
  }

  /** What triggers wrote beside the plan is told, by table and number. */
  #judgeTrail({ before, after }: Repair, { sideEffects }: AppliedPlan, lines: number): void {
    const expected = differing(before, after).filter((id) =>
      this.#site.world.trailed.has((before.get(id) ?? after.get(id))!.table.name),
    ).length
    const told = sideEffects?.['oracle.trail']?.inserted ?? 0
    if (told !== lines || told !== expected)
      this.findings.push(`${lines} side effects of ${expected} rows, told ${told}`)
    const others = Object.keys(sideEffects ?? {}).filter((name) => name !== 'oracle.trail')
    if (others.length > 0) this.findings.push(`side effects told in ${others}`)
  }

  async #trail(): Promise<number> {
    const { rows } = await this.#site.client.query('SELECT count(*) AS n FROM oracle.trail')
    return Number(rows[0].n)
  }

  #count(what: string, by: number): void {
    this.figures[what] = (this.figures[what] ?? 0) + by
  }
}

function patientsOf({ world }: AccidentSite, seen: Seen): string[] {
  return [...seen.values()].flatMap(({ table, key }) => (table.name === world.patients ? [key[0]!] : []))
}

function idOf({ table, key }: SeenRow): string {
  return rowId(table, key)
}
