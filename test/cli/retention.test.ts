/** forget, hold and prune as somebody types them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { hosted, makeSite, type Site, setUpRepository } from './cli-support.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 })

let site: Site
/** Oldest first. */
let snapshots: string[]

beforeAll(async () => {
  site = hosted(await makeSite())
  await setUpRepository(site)
  for (let count = 0; count < 3; count += 1) await site.run(['backup'])
  snapshots = objects((await site.run(['snapshots', '--json'])).stdout).map(({ snapshot }) => String(snapshot))
  expect(snapshots).toHaveLength(3)
})
afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
})

function objects(text: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line))
}

async function giveRules(rules: string): Promise<void> {
  const file = await readFile(join(site.folder, 'chartkeep.yaml'), 'utf8')
  await site.writeFile('chartkeep.yaml', file.replace(/^( +)(url: postgres)/m, `$1retention: ${rules}\n$1$2`))
}

describe('retention from the command line', () => {
  it('gives nothing up while nobody has said what may go', async () => {
    const { status, stderr } = await site.run(['forget'])
    expect(status).toBe(3)
    expect(stderr).toContain('has no rules of retention, so every snapshot stays')
    expect(stderr).toContain('hint: Add them')
  })

  it('says of each snapshot why it stays or goes, and with --dry-run changes nothing', async () => {
    await giveRules('{ last: 1, timeZone: Asia/Shanghai }')
    const before = await site.objects()
    const { stdout, status } = await site.run(['forget', '--dry-run'])
    expect(status).toBe(0)
    expect(stdout).toMatch(new RegExp(`^${snapshots[0]} .* goes   no rule keeps it$`, 'm'))
    expect(stdout).toMatch(new RegExp(`^${snapshots[2]} .* stays  the newest; among the last$`, 'm'))
    expect(stdout).toContain('2 of 3 snapshots would be forgotten')
    expect(await site.objects()).toEqual(before)
  })

  it('keeps what is held, says who holds it and why, and asks for a reason', async () => {
    expect((await site.run(['hold', snapshots[0]!])).status).toBe(2)
    const held = await site.run([
      'hold',
      snapshots[0]!,
      '--reason',
      'inquiry 17',
      '--until',
      '2999-01-01T00:00:00+08:00',
    ])
    expect(held).toMatchObject({ status: 0, stdout: `held      ${snapshots[0]}  until 2998-12-31T16:00:00.000Z\n` })
    const { stdout } = await site.run(['forget', '--json'])
    expect(objects(stdout).map(({ snapshot, kind }) => [snapshot, kind])).toEqual([
      [snapshots[2], 'stays'],
      [snapshots[1], 'goes'],
      [snapshots[0], 'stays'],
    ])
    expect((await site.run(['hold', '--list'])).stdout).toMatch(/2998-12-31.* inquiry 17$/m)
  })

  it('lets go of what was released, and records all of it', async () => {
    expect((await site.run(['hold', snapshots[0]!, '--release', '--reason', 'closed'])).status).toBe(0)
    expect((await site.run(['forget'])).stdout).toContain('1 of 2 snapshots are forgotten')
    expect(await left()).toEqual([snapshots[2]])
    const audit = objects((await site.run(['audit', '--json'])).stdout)
    const deeds = audit.filter(({ action }) => /^(hold|snapshot\.forget)/.test(String(action)))
    expect(deeds.map(({ action, subject }) => [action, String(subject).slice(0, 8)])).toEqual([
      ['hold.place', snapshots[0]!.slice(0, 8)],
      ['snapshot.forget', snapshots[1]!.slice(0, 8)],
      ['hold.release', snapshots[0]!.slice(0, 8)],
      ['snapshot.forget', snapshots[0]!.slice(0, 8)],
    ])
  })

  it('marks what only they needed, deletes nothing before the grace is over, and check has nothing to say', async () => {
    const { stdout, status } = await site.run(['prune'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^stays +pack +\d+ .* a kept snapshot needs it$/m)
    const again = objects((await site.run(['prune', '--dry-run', '--json'])).stdout)
    expect(again.filter(({ type, kind }) => type === 'goes' && kind !== 'claim')).toEqual([])
    expect(again.at(-1)).toMatchObject({ type: 'prune', readers: [] })
    const checked = await site.run(['check'])
    expect([checked.status, checked.stdout]).toEqual([0, expect.stringContaining('passed')])
  })
})

async function left(): Promise<unknown[]> {
  return objects((await site.run(['snapshots', '--json'])).stdout).map(({ snapshot }) => snapshot)
}
