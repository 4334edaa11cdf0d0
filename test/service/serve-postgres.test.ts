/** `chartkeep serve` as a process over a real server: captures, does what is due, tells people, answers, and stops well. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { makeSite, type Site, setUpRepository } from '../cli/cli-support.ts'
import { runSql } from '../source/postgres/support.ts'
import { nicenessOf } from '../support/niceness.ts'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

type Line = Readonly<Record<string, unknown>>

class ServeProcess {
  readonly lines: Line[] = []
  output = ''
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown[]>

  constructor(site: Site, ...args: string[]) {
    const env = { ...process.env, ...site.environment }
    const whole = ['--disable-warning=ExperimentalWarning', MAIN, 'serve', ...args]
    this.#child = spawn(process.execPath, whole, { cwd: site.folder, env })
    this.#exited = once(this.#child, 'exit')
    let rest = ''
    this.#child.stderr!.on('data', (bytes: Buffer) => {
      this.output += bytes.toString()
    })
    this.#child.stdout!.on('data', (bytes: Buffer) => {
      this.output += bytes.toString()
      const lines = (rest + bytes.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.lines.push(JSON.parse(line))
    })
  }

  async saw(wanted: Line): Promise<Line> {
    for (let tries = 0; tries < 1200; tries += 1) {
      const found = this.lines.find((line) => Object.entries(wanted).every(([key, value]) => line[key] === value))
      if (found) return found
      if (this.#child.exitCode !== null) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error(`no ${JSON.stringify(wanted)} in ${this.output}`)
  }

  get pid(): number {
    return this.#child.pid!
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    const [status] = await this.#exited
    return status as number | null
  }
}

const received: { readonly signature: string | undefined; readonly body: string }[] = []
const receiver = createServer(async (request, response) => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const signature = request.headers['x-chartkeep-signature']
  received.push({ signature: signature?.toString(), body: Buffer.concat(parts).toString() })
  response.end()
})

let site: Site
beforeAll(async () => {
  site = await makeSite(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
  await setUpRepository(site)
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  const { port } = receiver.address() as AddressInfo
  await site.writeFile('receiver-secret', 'known to both')
  const configuration = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  await site.writeFile(
    'chartkeep.yaml',
    `${configuration}
service:
  timeZone: Asia/Shanghai
  jobs:
    snapshot: { every: 15s, deadline: 1h }
    check: { every: 15s, deadline: 1h }
  alarms:
    language: en
    freeBytesMin: 9000000000000000
    webhook: { url: "http://127.0.0.1:${port}/alarms", secretFile: receiver-secret }
    heartbeat: { url: "http://127.0.0.1:${port}/alive", every: 30s }
`,
  )
})
afterAll(async () => {
  receiver.close()
  await site?.[Symbol.asyncDispose]()
})

describe('chartkeep serve', () => {
  it('captures, snapshots, checks, tells people until somebody acknowledges, and stops well', async () => {
    const first = new ServeProcess(site, '--listen', '127.0.0.1:0')
    const { address } = await first.saw({ event: 'api.listens' })
    await first.saw({ event: 'capture.connected' })
    await first.saw({ event: 'job.ended', task: 'snapshot of icu', state: 'done' })
    await first.saw({ event: 'job.ended', task: 'check', verdict: 'passed' })
    const niceness = process.platform === 'linux' ? await nicenessOf(first.pid) : []
    const health = await fetch(`${address}/health`)
    await vi.waitUntil(() => received.some(({ body }) => body.includes('"space"')), { timeout: 60_000 })
    const list = await site.run(['alarms', 'list', '--json'])
    const alarm = JSON.parse(list.stdout.split('\n')[0]!)
    const ack = await site.run(['alarms', 'ack', alarm.id, '--reason', 'disk ordered'])
    const status = await first.end('SIGTERM')

    expect([health.status, ack.status, status]).toEqual([200, 0, 0])
    // Captures and scheduled work let the application have the processor first.
    expect(niceness.filter((nice) => nice < 10)).toEqual([])
    expect(alarm).toMatchObject({ kind: 'space', acknowledged: null })
    expect(
      received
        .filter(({ body }) => body.includes('"alarms"'))
        .every(({ signature }) => /^sha256=[0-9a-f]{64}$/.test(signature ?? '')),
    ).toBe(true)
    expect(received.some(({ body }) => body.includes('"alive"'))).toBe(true)
    // What people are told to acknowledge, they can; and the log strikes out nothing that it was meant to say.
    expect(received.filter(({ body }) => body.includes('unsaved-'))).toEqual([])
    expect(first.output).not.toContain('[struck out]')
  })

  it('that is started anew carries on, along the change log', async () => {
    await runSql(site.adminUrl, `UPDATE public.patient SET mrn = mrn`)
    const second = new ServeProcess(site, '--no-api')
    await second.saw({ event: 'capture.connected' })
    await second.saw({ event: 'job.ended', task: 'snapshot of icu', state: 'done' })
    const status = await second.end('SIGTERM')
    const snapshots = await site.run(['snapshots', '--json'])
    const { stdout } = await site.run(['audit', '--json'])
    const deeds = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).action)

    expect(status).toBe(0)
    expect(snapshots.stdout).toContain('"incremental"')
    expect(deeds).toEqual(expect.arrayContaining(['service.start', 'snapshot.take', 'repository.check']))
    expect(deeds).toEqual(expect.arrayContaining(['alarm.raised', 'alarm.acknowledge', 'service.stop']))
  })
})
