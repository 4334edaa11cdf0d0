import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { type PruneRequest, planOfPrune, prune } from '../backup/retention/prune.ts'
import type { Going, PrunePlan } from '../backup/retention/prune-plan.ts'
import type { Configuration } from '../config.ts'
import { action, type Cli, describe, withConfiguration } from './command.ts'
import { RETENTION_FAILURES, type RetentionOptions } from './forget.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatBytes, formatCount, formatTable } from './terminal.ts'

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'prune',
    summary: 'delete what nothing that is kept needs',
    description:
      'In two phases: what is found to be needed by no snapshot and by no moment of a recovery window is marked; when its grace\n' +
      'is over (`graceHours`, a day), and it still is not needed, it is deleted. So run it regularly, behind `chartkeep forget`.\n' +
      'Deletes nothing while a restore or a backup runs, nor when a listing, the clock or anything that is needed is doubtful.\n' +
      'With --dry-run it shows what would go, what waits, and why the rest stays; with --json object by object.',
    examples: ['chartkeep prune --dry-run', 'chartkeep prune', 'chartkeep prune --dry-run --json'],
    failures: [...RETENTION_FAILURES, 'lease-lost'],
  })
  withConfiguration(command).option('--dry-run', 'show the plan; change nothing', false).action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: RetentionOptions): Promise<void> {
  const configuration = await readConfiguration(cli, options)
  await using repository = await openConfiguredRepository(cli, configuration)
  const { nowMs, signal, terminal } = cli
  const request: PruneRequest = {
    ...{ repository, actor: actorOf(cli), nowMs, signal, random: randomBytes },
    ...retentionOf(configuration),
    sleep: (ms) => cli.sleep(ms, signal),
    onProgress: ({ deleted, of }) => terminal.status(`${deleted}/${of} objects deleted`),
  }
  const plan = options.dryRun ? await planOfPrune(request) : await prune(request)
  if (options.json) showJson(cli, plan)
  else for (const line of summary(plan, options.dryRun)) terminal.out(line)
}

/** A repository has one grace: the longest that any of its sources asks for. */
export function retentionOf({ sources }: Configuration): Pick<PruneRequest, 'rules' | 'graceMs'> {
  const given = sources.flatMap(({ name, retention }) => (retention ? [{ name, ...retention }] : []))
  const rules = new Map(given.map(({ name, rules: own }) => [name, own]))
  return { rules, graceMs: given.length === 0 ? DEFAULT_GRACE_MS : Math.max(...given.map(({ graceMs }) => graceMs)) }
}

const DEFAULT_GRACE_MS = 24 * 60 * 60 * 1000

function showJson(cli: Cli, plan: PrunePlan): void {
  const { out } = cli.terminal
  const until = (untilMs: number) => new Date(untilMs).toISOString()
  for (const going of plan.removes) out(JSON.stringify({ type: 'goes', ...going }))
  for (const { untilMs, ...going } of plan.marks)
    out(JSON.stringify({ type: 'marked', ...going, until: until(untilMs) }))
  for (const { untilMs, ...going } of plan.waits)
    out(JSON.stringify({ type: 'waits', ...going, until: until(untilMs) }))
  for (const staying of plan.stays) out(JSON.stringify({ type: 'stays', ...staying }))
  const { bytesFreed, readers, trims } = plan
  out(JSON.stringify({ type: 'prune', bytesFreed, readers, trims }))
}

function summary(plan: PrunePlan, isDry: boolean): string[] {
  const { removes, waits, marks, stays, readers } = plan
  const rows = [
    ...grouped(isDry ? 'would go' : 'gone', removes),
    ...grouped(isDry ? 'would be marked' : 'marked', marks),
    ...grouped('waits', waits),
    ...grouped('stays', stays),
  ]
  const dead = stays.reduce((sum, { deadBytes }) => sum + deadBytes, 0)
  const next = [...marks, ...waits].reduce<number | null>(
    (least, { untilMs }) => Math.min(least ?? untilMs, untilMs),
    null,
  )
  return [
    ...formatTable(['', 'what', 'objects', 'size', 'why'], rows, [2, 3]),
    ...readers.map(({ holder, since }) => `nothing is deleted while ${holder} reads (last heard of at ${since})`),
    `${isDry ? 'would free' : 'freed'} ${formatBytes(plan.bytesFreed)}`,
    ...(dead > 0 ? [`${formatBytes(dead)} stay that nothing needs: in packs with something that is needed`] : []),
    ...(next === null ? [] : [`the next grace is over at ${new Date(next).toISOString()}`]),
  ]
}

/** One row for each reason; snapshots that need packs are many, and count as one. */
function grouped(what: string, things: readonly (Omit<Going, 'kind'> & { readonly kind: string })[]): string[][] {
  const groups = new Map<string, { kind: string; why: string; count: number; bytes: number }>()
  for (const { kind, why, bytes } of things) {
    const said = why.replace(/^snapshot \S+ needs it$/, 'a kept snapshot needs it')
    const group = groups.get(`${kind} ${said}`) ?? { kind, why: said, count: 0, bytes: 0 }
    groups.set(`${kind} ${said}`, { ...group, count: group.count + 1, bytes: group.bytes + bytes })
  }
  return [...groups.values()].map(({ kind, why, count, bytes }) => [
    what,
    kind,
    formatCount(count),
    formatBytes(bytes),
    why,
  ])
}
