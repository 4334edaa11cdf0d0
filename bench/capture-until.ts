/**
 * `chartkeep capture` until its log has everything up to a position; then it is stopped. What it did on the way is
 * printed as one line of JSON.
 *
 *     node bench/capture-until.ts CONFIGURATION DATABASE LSN
 */
import { join } from 'node:path'
import { RunningCommand, type Said } from '../scripts/demo/running-command.ts'
import { parseLsn } from '../src/repository/lsn.ts'
import { openSource } from '../src/source/open.ts'
import { ROOT } from './stage.ts'

const [configuration = '', url = '', lsn = '0/0'] = process.argv.slice(2)
const program = [process.execPath, join(ROOT, 'src/cli/main.ts'), 'capture', '--config', configuration, '--json']
const running = new RunningCommand(program, { cwd: ROOT, env: process.env })
await running.says('connected')
await using source = await openSource({ url })
// Without it, the last segment would wait for its age, which says nothing of speed.
await source.changes?.requestSeal()
await running.saysThat(({ end }) => typeof end === 'string' && parseLsn(end) >= parseLsn(lsn))
const { status, stderr } = await running.stop()
if (status !== 0) process.stderr.write(stderr)
const sum = (of: (line: Said) => unknown) => running.said.reduce((total, line) => total + Number(of(line) ?? 0), 0)
process.stdout.write(
  `${JSON.stringify({ changes: sum((line) => line.changes), textBytes: sum((line) => line.textBytes) })}\n`,
)
process.exitCode = status
