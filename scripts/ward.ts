/**
 * Plays the ward on a reference database, and reports what it did: one JSON object on stdout when it ends.
 *
 *   node launch.mjs scripts/ward.ts --url postgres://localhost/icu_s --rate 50 --seconds 60 --deletions 0.01
 *
 * Ctrl-C ends it early, with the same report.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Failure, toFailureRecord } from '../src/errors.ts'
import { startWard } from './reference/ward.ts'

const help = `usage: ward.ts --url postgres://… [--rate N/s] [--seconds S] [--seed N] [--deletions SHARE] [--connections N]

Charts, orders, executes, signs, corrects, transfers, admits, discharges and deletes, as a ward does.

  --rate         transactions a second over all connections, 20 by default; 0 for as many as the server can
  --seconds      how long, 60 by default
  --seed         a whole number, 1 by default: decides what is done, in which order
  --deletions    the share of transactions that delete, 0.01 by default
  --connections  4 by default
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      rate: { type: 'string', default: '20' },
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      deletions: { type: 'string', default: '0.01' },
      connections: { type: 'string', default: '4' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return
  }
  if (values.url === undefined) throw new Failure('bad-usage', 'no database given', { hints: ['Add --url URL.'] })
  const rate = within('rate', values.rate.replace(/\/s$/, ''), 0, 1_000_000)
  const seconds = within('seconds', values.seconds, 0, 1_000_000)

  const ward = await startWard({
    url: values.url,
    seed: within('seed', values.seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    actionsPerSecond: rate === 0 ? Number.POSITIVE_INFINITY : rate,
    deletionShare: within('deletions', values.deletions, 0, 1),
    connections: within('connections', values.connections, 1, 50),
  })
  const ended = new AbortController()
  process.once('SIGINT', () => ended.abort())
  process.once('SIGTERM', () => ended.abort())
  const time = sleep(seconds * 1000, undefined, { signal: ended.signal }).catch(() => undefined)
  await Promise.race([time, ward.finished])
  const report = await ward.stop()
  ended.abort()
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

function within(name: string, value: string, low: number, high: number): number {
  const number = Number(value)
  if (value.trim() === '' || !(number >= low && number <= high)) {
    throw new Failure('bad-usage', `--${name} is a number from ${low} to ${high}, not ${value}`)
  }
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
