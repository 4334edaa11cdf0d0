/** Whether a process of this machine is gone: asked of real ones. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { machineProcesses, type ProcessMark } from '../../src/repository/process-mark.ts'

const MODULE = fileURLToPath(new URL('../../src/repository/process-mark.ts', import.meta.url))
const SCRIPT = `
  import { machineProcesses } from ${JSON.stringify(MODULE)}
  console.log(JSON.stringify(machineProcesses().own))
  setInterval(() => {}, 1000)`

describe.skipIf(process.platform !== 'linux')('a process', () => {
  test('is gone when it was killed, and not before; its number is not enough', async () => {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '--disable-warning=ExperimentalWarning',
      '-e',
      SCRIPT,
    ])
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const mark = JSON.parse(line.toString()) as ProcessMark
    const { own, isGone } = machineProcesses()

    expect(mark.machine).toBe(own?.machine)
    expect(isGone(mark)).toBe(false)
    expect(isGone({ ...mark, start: `${mark.start}1` })).toBe(true)
    expect(isGone({ ...mark, machine: 'another', start: `${mark.start}1` })).toBe(false)
    child.kill('SIGKILL')
    await once(child, 'exit')

    expect(isGone(mark)).toBe(true)
    expect(isGone(own!)).toBe(false)
  })
})
