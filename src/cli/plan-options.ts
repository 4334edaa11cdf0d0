/** What every command that shows a plan offers: its rows, their values, and a page for whoever approves it. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { planHtml } from '../restore/patient/page/plan-page.ts'
import { LANGUAGES } from '../restore/patient/page/words.ts'
import type { ReadPlan } from '../restore/patient/plan-document.ts'
import { planRecord } from '../restore/patient/plan-view.ts'
import type { Cli } from './command.ts'
import { planLines, rowLines } from './plan-page.ts'

export interface PlanViewOptions {
  readonly json: boolean
  readonly rows: boolean
  readonly showValues: boolean
  readonly page?: string
  readonly lang: string
}

export function withPlanView(command: Command): Command {
  return command
    .option('--rows', 'list the rows, values masked', false)
    .option('--show-values', 'list the rows with their values; the page shows them, too', false)
    .option('--page <file>', 'write the plan as a page that people read and print, to a file that is not there yet')
    .option('--lang <language>', `of the page: ${LANGUAGES.join(', ')}`, 'zh')
}

/** The plan on the terminal, or for programs, and its page where one is wanted. @throws bad-usage */
export async function showPlan(cli: Cli, plan: ReadPlan, options: PlanViewOptions): Promise<void> {
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'plan', ...planRecord(plan) }))
  else for (const line of planLines(plan)) cli.terminal.out(line)
  if (!options.json) showRows(cli, plan, options)
  if (options.page !== undefined) await writePage(plan, options.page, options)
}

function showRows(cli: Cli, plan: ReadPlan, { rows, showValues }: PlanViewOptions): void {
  if (!rows && !showValues) return
  for (const line of rowLines(plan, showValues)) cli.terminal.out(line)
}

async function writePage(plan: ReadPlan, file: string, { lang, showValues }: PlanViewOptions): Promise<void> {
  const language = LANGUAGES.find((known) => known === lang)
  if (!language) {
    throw new Failure('bad-usage', `there is no language ${lang}`, { hints: [`Give one of ${LANGUAGES.join(', ')}.`] })
  }
  const page = planHtml(plan, { language, showValues })
  await writeFile(file, page, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    throw new Failure('bad-usage', `${file} cannot be written (${error.code})`, {
      hints: ['Name a file that is not there yet.'],
    })
  })
}
