import type { Command } from 'commander'
import { changeIdOf } from '../repository/history/event.ts'
import { readPast } from '../repository/history/past.ts'
import { wholeTable } from '../repository/history/question.ts'
import { tableOf } from '../repository/history/read-all.ts'
import { ownWords, timeWords } from '../restore/patient/event-view.ts'
import { OwnRestores } from '../restore/patient/own-restores.ts'
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
import { formatCount } from './terminal.ts'

interface ChangesOptions extends PastOptions {
  readonly table: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'changes',
    summary: 'what changed in a table, transaction by transaction',
    description:
      'Lists every row of a table that was inserted, changed or deleted, in order of commit, each under the name of its\n' +
      'change: --at before:CHANGE is the moment just before it. Where changes were not captured, what differs between two\n' +
      'snapshots is listed, and said to lie in between. Values and keys are masked unless --values is given, with a\n' +
      'purpose; a row has the same name (R-…) as long as it has the same key. The audit keeps who looked.',
    examples: [
      'chartkeep changes --table public.nursing_note --since 2026-03-01T07:00:00+08:00',
      'chartkeep changes --table public.drug --since 16/B3772A10 --json',
    ],
    failures: PAST_FAILURES,
  })
  withInterval(command)
    .requiredOption('--table <name>', 'with its schema; of a partitioned table, all partitions')
    .option('--purpose <text>', 'why it is looked at: it stands in the audit')
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, options: ChangesOptions): Promise<void> {
  await withPast(cli, options, async (asked) => {
    const { repository, sourceName } = asked
    await tableOf(repository, sourceName, options.table)
    const own = await OwnRestores.read(repository, sourceName)
    const { out } = cli.terminal
    const deed = { actor: actorOf(cli), action: 'history.table', subject: options.table, detail: options.purpose ?? '' }
    await repository.audit.around(deed, cli.nowMs, async () => {
      let shown: string | null = null
      let count = 0
      for await (const item of readPast({ ...asked, question: wholeTable(options.table) })) {
        if (item.kind === 'gap') {
          out(options.json ? JSON.stringify(gapRecord(item.gap)) : gapLine(item.gap))
          continue
        }
        const { event } = item
        const ours = own.of(event.time)
        count += 1
        if (options.json) {
          out(JSON.stringify({ ...eventRecord(event, repository, options.values), ...ownRecord(ours) }))
          continue
        }
        const change = changeIdOf(event.time)
        if (change !== shown) out(`${timeWords(event.time)}  ${change}${ours ? `  ${ownWords(ours)}` : ''}`)
        shown = change
        for (const line of eventLines(event, repository, options.values)) out(line)
      }
      if (!options.json) out(`${formatCount(count)} changes of rows`)
    })
  })
}
