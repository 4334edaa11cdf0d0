/** Alarms: raised once, repeated until acknowledged, grouped, over when their cause is gone, and told while the store is down. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { AlarmStore, type KeptAlarm } from '../../src/service/alarm/alarm-store.ts'
import { AlarmBook } from '../../src/service/alarm/book.ts'
import type { Condition } from '../../src/service/alarm/condition.ts'
import { mail } from '../../src/service/alarm/mail.ts'
import { type Message, Notifier } from '../../src/service/alarm/notifier.ts'
import { syslog, syslogLines } from '../../src/service/alarm/syslog.ts'
import { plainMessage } from '../../src/service/alarm/text.ts'
import { webhook } from '../../src/service/alarm/webhook.ts'
import { jsonLog } from '../../src/service/log.ts'
import { acknowledge } from '../../src/service/service.ts'
import type { ServiceWorld } from '../../src/service/world.ts'
import { makeSimRepository } from '../support/sim-repository.ts'
import { PLANTED } from './week/site.ts'

const START = Date.parse('2026-03-01T00:00:00Z')
const HOUR_MS = 3_600_000
const never = () => new AbortController().signal

const full: Condition = {
  key: 'low',
  kind: 'space',
  severity: 'critical',
  subject: 'the store',
  text: { en: '5 bytes are free', zh: '剩余 5 字节' },
}

async function makeDesk() {
  const sim = await makeSimRepository()
  const repository = sim.over(sim.store)
  const clock = { nowMs: START }
  const world: ServiceWorld = {
    nowMs: () => clock.nowMs,
    sleep: async (_, signal) => await new Promise((_resolve, reject) => signal?.addEventListener('abort', reject)),
    random: (bytes) => new Uint8Array(bytes),
    host: 'chartkeep@icu-1',
    temporaryDirectory: 'none',
  }
  const sent: Message[] = []
  const receiver = { isDown: false }
  const store = new AlarmStore(repository)
  const makeBook = () => new AlarmBook({ store, audit: repository.audit, world, log: () => {} })
  const makeNotifier = () =>
    new Notifier({
      channels: [
        {
          name: 'people',
          send: async (message) => {
            if (receiver.isDown) throw Object.assign(new Error(PLANTED), { code: 'ECONNREFUSED' })
            sent.push(message)
          },
        },
      ],
      repeatMs: 4 * HOUR_MS,
      world,
      log: () => {},
    })
  return { repository, clock, sent, receiver, store, makeBook, makeNotifier }
}

describe('an alarm', () => {
  it('is told at once, again until it is acknowledged, and not from then on', async () => {
    const { repository, clock, sent, store, makeBook, makeNotifier } = await makeDesk()
    const [book, notifier] = [makeBook(), makeNotifier()]
    for (let hour = 0; hour < 9; hour += 1, clock.nowMs += HOUR_MS) {
      book.see('space', [full])
      await notifier.tell(book)
      await book.sync()
    }
    const told = sent.length
    await acknowledge({ store, repository, nowMs: clock.nowMs }, '0', { person: 'dba', reason: 'disk ordered' })
    for (let hour = 0; hour < 9; hour += 1, clock.nowMs += HOUR_MS) {
      await book.sync()
      book.see('space', [full])
      await notifier.tell(book)
    }

    expect([told, sent.length]).toEqual([3, 3])
    expect((await store.read('0'))?.acknowledged).toMatchObject({ by: 'dba', reason: 'disk ordered' })
  })

  it('is not acknowledged without a reason', async () => {
    const { repository, store } = await makeDesk()

    await expect(
      acknowledge({ store, repository, nowMs: START }, '0', { person: 'dba', reason: ' ' }),
    ).rejects.toMatchObject({ code: 'bad-usage' })
  })

  it('is over when its cause is gone for a while, and people hear that, once', async () => {
    const { clock, sent, makeBook, makeNotifier } = await makeDesk()
    const [book, notifier] = [makeBook(), makeNotifier()]
    for (const conditions of [[full], [], [full], [], [], []]) {
      book.see('space', conditions)
      await notifier.tell(book)
      await book.sync()
      clock.nowMs += 3 * 60_000
    }

    expect(sent.map(({ open, over }) => [open.length, over.length])).toEqual([
      [1, 0],
      [0, 1],
    ])
  })

  it('survives the process: the next one goes on repeating, and does not raise it again', async () => {
    const { clock, sent, store, makeBook, makeNotifier } = await makeDesk()
    const first = makeBook()
    first.see('space', [full])
    await makeNotifier().tell(first)
    await first.sync()
    clock.nowMs += HOUR_MS
    const [second, notifier] = [makeBook(), makeNotifier()]
    await second.load()
    second.see('space', [full])
    await notifier.tell(second)
    const toldEarly = sent.length
    clock.nowMs += 4 * HOUR_MS
    await notifier.tell(second)
    await second.sync()

    expect([toldEarly, sent.length]).toEqual([1, 2])
    expect((await store.readAll()).alarms).toHaveLength(1)
  })

  it('that one way did not take is told when it works again, and that it does not is an alarm', async () => {
    const { sent, receiver, makeBook, makeNotifier } = await makeDesk()
    const [book, notifier] = [makeBook(), makeNotifier()]
    receiver.isDown = true
    book.see('space', [full])
    await notifier.tell(book)
    const [broken] = notifier.conditions
    receiver.isDown = false
    await notifier.tell(book)

    expect(broken).toMatchObject({ kind: 'not-watched', subject: 'people' })
    expect(JSON.stringify(broken)).not.toContain(PLANTED)
    expect([sent.length, notifier.conditions]).toEqual([1, []])
  })

  it('that grows from a warning to something critical is told at once, whoever acknowledged the warning', async () => {
    const { repository, clock, sent, store, makeBook, makeNotifier } = await makeDesk()
    const [book, notifier] = [makeBook(), makeNotifier()]
    const look = async (severity: Condition['severity']) => {
      book.see('space', [{ ...full, severity }])
      await notifier.tell(book)
      await book.sync()
      clock.nowMs += 6 * 60_000
    }
    await look('warning')
    await acknowledge({ store, repository, nowMs: clock.nowMs }, '0', { person: 'dba', reason: 'disk ordered' })
    for (const severity of ['warning', 'critical', 'warning', 'critical', 'critical'] as const) await look(severity)

    expect(sent.map(({ open, over }) => [...open.map(({ severity }) => severity), over.length])).toEqual([
      ['warning', 0],
      ['critical', 0],
      [1],
    ])
    expect(book.open.map(({ severity }) => severity)).toEqual(['critical'])
  })

  it('with others goes in one message', async () => {
    const { sent, makeBook, makeNotifier } = await makeDesk()
    const book = makeBook()
    book.see('space', [full, { ...full, key: 'other' }])
    book.see('clock', [{ ...full, kind: 'clock' }])
    await makeNotifier().tell(book)

    expect(sent.map(({ open }) => open.length)).toEqual([3])
  })
})

/** Stands for the line that nobody has said yet. */
const GREETING = '(connected)'

const alarm: KeptAlarm = {
  id: '12',
  key: 'space/low',
  kind: 'space',
  severity: 'critical',
  subject: 'the "store"]',
  text: full.text,
  raisedAt: '2026-03-01T00:00:00.000Z',
  acknowledged: null,
  endedAt: null,
  lastNotifiedAt: null,
  events: 1,
}
const message: Message = { host: 'chartkeep@icu 1', at: '2026-03-01T00:01:00.000Z', open: [alarm], over: [] }

describe('a message', () => {
  it('is read in either language', () => {
    expect(plainMessage(message, 'zh')).toMatchObject({ subject: '[chartkeep] 严重: 1 条未解除' })
    expect(plainMessage(message, 'en').body).toContain('12  CRITICAL  5 bytes are free')
  })

  it('to syslog is as RFC 5424 wants it', () => {
    expect(syslogLines(message, 'zh')).toEqual([
      '<130>1 2026-03-01T00:01:00.000Z icu1 chartkeep - alarm ' +
        '[chartkeep@32473 id="12" kind="space" subject="the \\"store\\"\\]" since="2026-03-01T00:00:00.000Z"] ' +
        '\ufeff剩余 5 字节',
    ])
  })

  it('gets out over UDP, and over TCP with its length before it', async () => {
    const udp = createSocket('udp4')
    udp.bind(0, '127.0.0.1')
    await once(udp, 'listening')
    const arrived = once(udp, 'message')
    const to = { host: '127.0.0.1', caPem: null }
    await syslog({ ...to, port: udp.address().port, transport: 'udp' }, 'en').send(message, never())
    const [datagram] = await arrived
    udp.close()
    const stream = await heard((port) => syslog({ ...to, port, transport: 'tcp' }, 'en').send(message, never()))

    expect(datagram.toString()).toContain('5 bytes are free')
    const [, length, line] = /^(\d+) (.*)$/s.exec(stream)!
    expect(Buffer.byteLength(line!)).toBe(Number(length))
  })

  it('gets out by mail', async () => {
    const said = await heard(
      (port) =>
        mail(
          {
            ...{ host: '127.0.0.1', port, security: 'none', caPem: null, user: null, password: null },
            ...{ from: 'chartkeep@hospital', to: ['dba@hospital'] },
          },
          'en',
        ).send(message, never()),
      answerMail,
    )

    expect(said).toContain('RCPT TO:<dba@hospital>')
    expect(said).toContain('5 bytes are free')
  })

  it('that a receiver refuses is said to be so, without the secret part of its address', async () => {
    const refusing = async () => new Response('no', { status: 410 })
    const channel = webhook({ url: 'https://chat.hospital/hook/secret-token', secret: null }, refusing)

    await expect(channel.send(message, never())).rejects.toMatchObject({ code: 'alarm-not-delivered' })
    expect(await channel.send(message, never()).catch(String)).not.toContain('secret-token')
  })
})

describe('the log', () => {
  it('holds no planted value, whatever was handed in by mistake (F42)', () => {
    const lines: string[] = []
    const log = jsonLog({ write: (line) => void lines.push(line) }, () => START)
    log({
      level: 'error',
      event: 'test',
      password: PLANTED,
      url: PLANTED,
      row: PLANTED,
      detail: PLANTED,
      value: PLANTED,
    })
    const failure = new Failure('source-failed', 'it failed', { cause: new Error(PLANTED) })
    log({ level: 'warn', event: 'test', code: failure.code, message: failure.message })

    expect(lines.join('')).not.toContain(PLANTED)
    expect(JSON.parse(lines[1]!)).toEqual({
      level: 'warn',
      at: '2026-03-01T00:00:00.000Z',
      event: 'test',
      code: 'source-failed',
      message: 'it failed',
    })
  })
})

/** What one client says to a server of ours; `answer`: what the server says to each line of it. */
async function heard(
  say: (port: number) => Promise<void>,
  answer: (line: string) => string | null = () => null,
): Promise<string> {
  let all = ''
  const server = createServer((socket) => {
    const greeting = answer(GREETING)
    if (greeting) socket.write(greeting)
    socket.on('data', (bytes) => {
      all += bytes.toString()
      for (const line of bytes.toString().split('\r\n').slice(0, -1)) {
        const reply = answer(line)
        if (reply) socket.write(reply)
      }
    })
    socket.on('end', () => socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await say((server.address() as AddressInfo).port)
  server.close()
  await once(server, 'close')
  return all
}

/** The least that a mail server says. */
function answerMail(line: string): string | null {
  if (line === GREETING) return '220 mail\r\n'
  if (/^(EHLO|MAIL|RCPT)/.test(line)) return '250 ok\r\n'
  if (line === 'DATA') return '354 go on\r\n'
  if (line === '.') return '250 taken\r\n'
  return line === 'QUIT' ? '221 bye\r\n' : null
}
