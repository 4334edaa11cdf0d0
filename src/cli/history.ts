import type { Command } from 'commander'
import { readRecord, tableOf } from '../repository/history/read-all.ts'
import { ownWords, rowName, timeWords } from '../restore/patient/event-view.ts'
import { OwnRestores } from '../restore/patient/own-restores.ts'
import { fieldOfText } from '../restore/patient/stored-row.ts'
import { entriesOf } from '../restore/patient/timeline.ts'
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

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'history',
    summary: 'what happened to a record, transaction by transaction',
    description:
      'Lists every change of the record that has, or had, this primary key, also over changes of the key itself: when it\n' +
      'was committed, which columns differ, and whether it was a restore of ours. Where changes were not captured, what\n' +
      'differs between two snapshots is listed, and said to lie in between. Each change has a name that is a target:\n' +
      '--at before:CHANGE. Values are masked unless --values is given, with a purpose. The audit keeps who looked.',
    examples: [
      'chartkeep history public.nursing_note 90417',
      'chartkeep history public.diagnosis 103 2 --since 2026-03-01T00:00:00+08:00 --values --purpose "request 117"',
    ],
    failures: PAST_FAILURES,
  })
  command.argument('<table>', 'with its schema').argument('<key...>', "the primary key's fields, in its order")
  withInterval(command)
    .option('--purpose <text>', 'why it is looked at: it stands in the audit')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, table: string, texts: readonly string[], options: PastOptions): Promise<void> {
  await withPast(cli, options, async (asked) => {
    const { repository, sourceName } = asked
    const key = texts.map(fieldOfText)
    // Refused before it stands in the audit.
    await tableOf(repository, sourceName, table)
    const subject = `${table} ${rowName(repository.keyring, table, key)}`
    const deed = { actor: actorOf(cli), action: 'history.record', subject, detail: options.purpose ?? '' }
    const { events, gaps } = await repository.audit.around(deed, cli.nowMs, () => readRecord(asked, table, key))
    const own = await OwnRestores.read(repository, sourceName)
    const { out } = cli.terminal
    for (const entry of entriesOf(events, own)) {
      if (options.json) {
        for (const event of entry.events)
          out(JSON.stringify({ ...eventRecord(event, repository, options.values), ...ownRecord(entry.ours) }))
        continue
      }
      out(`${timeWords(entry.time)}  ${entry.change}${entry.ours ? `  ${ownWords(entry.ours)}` : ''}`)
      for (const event of entry.events) for (const line of eventLines(event, repository, options.values)) out(line)
    }
    for (const gap of gaps) out(options.json ? JSON.stringify(gapRecord(gap)) : gapLine(gap))
    if (options.json) return
    if (events.length === 0) out('nothing is known to have happened to it in this time')
    else out('The moment just before a change: --at before:CHANGE')
  })
}
