/**
 * `npm run demo`: backs up an ICU database at work, proves the backup, rebuilds it elsewhere and proves that too.
 * Needs nothing but this checkout. Leaves `demo-output/`, with a page to look at: `demo-output/report.html`.
 *
 *     npm run demo
 *     npm run demo -- --rows 2000000 --ward-seconds 20 --out my-demo
 */
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { Failure, toFailureRecord } from '../src/errors.ts'
import { formatSeconds } from './demo/format.ts'
import { renderPage } from './demo/page.ts'
import { runDemo } from './demo/run.ts'
import { StepFailed } from './demo/story.ts'
import { stepTitles } from './demo/words.ts'

const help = `usage: npm run demo -- [--out DIRECTORY] [--rows N] [--ward-seconds S]

  --out           what an earlier demo left there is replaced; demo-output by default
  --rows          about so many rows; by default two beds over thirty days, 0.4 million
  --ward-seconds  how long the ward works between the two snapshots, 6 by default
`
const DEFAULT_OUT = fileURLToPath(new URL('../demo-output', import.meta.url))

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: DEFAULT_OUT },
      rows: { type: 'string' },
      'ward-seconds': { type: 'string', default: '6' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return print(help.trimEnd())
  const directory = resolve(values.out)
  const result = await runDemo({
    directory,
    rows: values.rows === undefined ? undefined : numberFrom('rows', values.rows, 10_000, 100_000_000),
    wardSeconds: numberFrom('ward-seconds', values['ward-seconds'], 1, 600),
    print,
  })
  const page = join(directory, 'report.html')
  await writeFile(join(directory, 'results', 'demo.json'), `${JSON.stringify(result, null, 2)}\n`)
  await writeFile(page, renderPage(result))
  print('')
  print(`Done in ${formatSeconds(result.seconds)}: every step passed. 全部步骤通过。`)
  print(`Look at ${pathToFileURL(page).href}`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function numberFrom(name: string, value: string, low: number, high: number): number {
  const number = Number(value)
  if (value.trim() === '' || !(number >= low && number <= high)) {
    throw new Failure('bad-usage', `--${name} is a number from ${low} to ${high}, not ${value}`)
  }
  return number
}

/** @returns the exit status */
function report(error: unknown): number {
  if (error instanceof StepFailed) {
    process.stderr.write(`\nThe demo failed at: ${stepTitles[error.step].en}\n${error.message}\n`)
    return error.exitStatus
  }
  const failure = toFailureRecord(error)
  process.stderr.write(`error ${failure.code}: ${failure.message}\n`)
  for (const hint of failure.hints) process.stderr.write(`hint: ${hint}\n`)
  return error instanceof Failure ? error.exitStatus : 70
}

try {
  await main()
} catch (error) {
  process.exitCode = report(error)
}
