/**
 * Makes a reference ICU database. Rows per table on stdout, progress on stderr.
 *
 *   node launch.mjs scripts/reference-database.ts --size S --into postgres://localhost/icu_s
 *   node launch.mjs scripts/reference-database.ts --rows 2000000 --seed 7 --into postgres://localhost/icu --config
 */
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { Failure, toFailureRecord } from '../src/errors.ts'
import { referenceConfiguration } from './reference/configuration.ts'
import { createReferenceDatabase, describeShape, type ReferenceProgress } from './reference/create.ts'
import { type SizeName, shapeOf } from './reference/shape.ts'

const help = `usage: reference-database.ts [--size XS|S|M | --rows N] [--profile A|B] [--seed N] --into postgres://…

Makes a reference ICU database in an existing, empty database. The same seed and size give the same rows.

  --size     XS: 2 beds, 30 days, a value every 5 minutes, 0.4 M rows (default)
             S:  20 beds, 1 year, hourly values, 8 M rows
             M:  100 beds, 1 year, a value every 5 minutes, 227 M rows
  --rows     about so many rows instead
  --profile  A: hourly values; B: a value every 5 minutes
  --seed     a whole number, 1 by default
  --config   print the configuration of these tables as YAML, and make nothing
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      size: { type: 'string' },
      rows: { type: 'string' },
      profile: { type: 'string' },
      seed: { type: 'string', default: '1' },
      into: { type: 'string' },
      config: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return
  }
  if (values.config) {
    process.stdout.write(stringify(referenceConfiguration()))
    return
  }
  if (values.into === undefined) throw new Failure('bad-usage', 'no database given', { hints: ['Add --into URL.'] })
  const request = {
    size: oneOf('size', values.size, ['XS', 'S', 'M'] as const) satisfies SizeName | undefined,
    rows: values.rows === undefined ? undefined : Number(values.rows),
    profile: oneOf('profile', values.profile, ['A', 'B'] as const),
    seed: wholeNumber('seed', values.seed),
  }
  process.stderr.write(`reference database: ${describeShape(shapeOf(request))}, seed ${request.seed}\n`)
  const startedAt = performance.now()
  const report = await createReferenceDatabase({ url: values.into, ...request, onProgress: showProgress })
  const seconds = (performance.now() - startedAt) / 1000
  for (const [table, rows] of Object.entries(report.tables)) process.stdout.write(`${table}\t${rows}\n`)
  process.stderr.write(`${report.rows} rows in ${seconds.toFixed(1)} s\n`)
}

let shown = ''

/** One line a step; the rows in tens of per cent. */
function showProgress({ step, share }: ReferenceProgress): void {
  const line = step === 'rows' ? `${step} ${Math.floor(share * 10) * 10} %` : step
  if (line !== shown) process.stderr.write(`${line}\n`)
  shown = line
}

function oneOf<T extends string>(name: string, value: string | undefined, allowed: readonly T[]): T | undefined {
  const found = allowed.find((one) => one === value)
  if (value !== undefined && found === undefined) {
    throw new Failure('bad-usage', `--${name} is one of ${allowed.join(', ')}, not ${value}`)
  }
  return found
}

function wholeNumber(name: string, value: string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new Failure('bad-usage', `--${name} is a whole number, not ${value}`)
  return number
}

try {
  await main()
} catch (error) {
  const failure = toFailureRecord(error)
  process.stderr.write(`error ${failure.code}: ${failure.message}\n`)
  for (const hint of failure.hints) process.stderr.write(`hint: ${hint}\n`)
  process.exitCode = error instanceof Failure ? error.exitStatus : 70
}
