import type { Command } from 'commander'
import { ownWords, timeRecord, timeWords } from '../restore/patient/event-view.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../restore/patient/look.ts'
import { fieldOfText } from '../restore/patient/stored-row.ts'
import { patientTimeline, type TimelineCount, type TimelineEntry } from '../restore/patient/timeline.ts'
import { action, type Cli, describe } from './command.ts'
import { actorOf } from './open.ts'
import {
  eventLines,
  eventRecord,
  gapLine,
  gapRecord,
  ownRecord,
  PAST_FAILURES,
  type PastOptions,
  withInterval,
  withPast,
} from './past.ts'
import { formatTable } from './terminal.ts'

interface TimelineOptions extends PastOptions {
  readonly purpose: string
  readonly category: readonly string[]
  readonly rows: boolean
}

export function register(patient: Command, cli: Cli): void {
  const command = describe({
    name: 'timeline',
    summary: 'what happened to a patient, by category and transaction',
    description:
      'Lists, transaction by transaction, how many rows of the patient were inserted, changed and deleted, by category and\n' +
      'table, over every table whose anchor leads to the patient: admissions and stays among them. Restores of ours are\n' +
      'named. A stay that was theirs at some moment of the time asked about counts as theirs in all of it. Each change has\n' +
      'a name that is a target: --at before:CHANGE. With --rows also the rows, values masked unless --values is given.',
    examples: [
      'chartkeep patient timeline 417 --since 2026-03-01T07:00:00+08:00 --purpose "request 117"',
      'chartkeep patient timeline 417 --category 护理记录 --rows --purpose "request 117"',
    ],
    failures: PAST_FAILURES,
  })
  command.argument('<id>', "the patient's key")
  withInterval(command)
    .option('--category <name>', 'only this category; may be repeated', (name, list: string[]) => [...list, name], [])
    .option('--rows', 'list the rows, too', false)
    .requiredOption('--purpose <text>', 'why the patient is looked at: it stands in the audit')
    .action(action(cli, run))
  patient.addCommand(command)
}

async function run(cli: Cli, id: string, options: TimelineOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose)
  await withPast(cli, options, async (asked) => {
    const { repository } = asked
    const subject = pseudonymOf(repository, id)
    const deed = { actor: actorOf(cli), action: 'patient.timeline', subject, detail: options.purpose }
    const categories = options.category.length > 0 ? new Set(options.category) : null
    const { entries, gaps } = await repository.audit.around(deed, cli.nowMs, () =>
      patientTimeline(asked, fieldOfText(id), categories),
    )
    const { out } = cli.terminal
    const isWithRows = options.rows || options.values
    if (!options.json) out(`patient  ${subject}`)
    for (const entry of entries) {
      if (options.json) out(JSON.stringify(entryRecord(entry)))
      else for (const line of entryLines(entry)) out(line)
      for (const event of isWithRows ? entry.events : []) {
        if (options.json) out(JSON.stringify(eventRecord(event, repository, options.values)))
        else for (const line of eventLines(event, repository, options.values)) out(line)
      }
    }
    for (const gap of gaps) out(options.json ? JSON.stringify(gapRecord(gap)) : gapLine(gap))
    if (options.json) return
    if (entries.length === 0) out('nothing is known to have happened to the patient in this time')
    else out('The moment just before a change: --at before:CHANGE')
  })
}

function entryRecord({ change, time, ours, counts }: TimelineEntry) {
  return { type: 'change', change, at: timeRecord(time), ...ownRecord(ours), counts }
}

function entryLines({ change, time, ours, counts }: TimelineEntry): string[] {
  const head = `${timeWords(time)}  ${change}${ours ? `  ${ownWords(ours)}` : ''}`
  const reason = time.kind === 'between' ? [`  some time in between: ${time.reason}`] : []
  const table = formatTable(['', '', ''], counts.map(countCells), []).slice(1)
  return [head, ...reason, ...table.map((line) => `  ${line}`)]
}

function countCells({ category, table, inserted, changed, deleted, truncated }: TimelineCount): string[] {
  const counts = [
    [inserted, 'inserted'],
    [changed, 'changed'],
    [deleted, 'deleted'],
  ] as const
  const words = counts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`)
  return [category, table, [...words, ...(truncated ? ['emptied with the whole table'] : [])].join(', ')]
}
