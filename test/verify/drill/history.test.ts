/** What is made of the drills that were held, and of those that were not (F29). */
import { describe, expect, it } from 'vitest'
import type { DrillReport } from '../../../src/verify/drill/drill-report.ts'
import { DRILLS } from '../../../src/verify/drill/drill-report.ts'
import { drillFindings, drillHistory, drillTrend } from '../../../src/verify/drill/history.ts'
import { findingsOf, reported } from '../../../src/verify/drill/judge.ts'
import { checkOf } from '../../../src/verify/drill/measure.ts'
import { drillPdf } from '../../../src/verify/drill/page.ts'
import { DRILL_SENTENCES } from '../../../src/verify/drill/sentences.ts'
import { StepTimes } from '../../../src/verify/drill/step-times.ts'
import { CHINA } from '../../../src/verify/report/language.ts'
import { writeReport } from '../../../src/verify/report/signed-report.ts'
import { hasPdfText, pdfText } from '../../support/pdf-text.ts'
import { makeRepository } from '../../support/repository.ts'
import { drillReport } from './report-support.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 5, 1)

describe('the absence of a drill', () => {
  it('is a finding, and so is one that failed or lies too far back (F29)', async () => {
    await using made = await makeRepository()
    const { repository } = made
    const due = () => drillFindings(repository, { sourceName: 'icu', everyDays: 30, nowMs: NOW })
    expect(await due()).toMatchObject([
      { kind: 'drill-late', message: expect.stringContaining('no drill has ever passed') },
    ])

    await write('20260401T000000Z-01', { createdAt: iso(NOW - 61 * DAY), status: 'passed' })
    await write('20260520T000000Z-02', { createdAt: iso(NOW - 10 * DAY), status: 'failed' })
    await write('20260521T000000Z-03', { createdAt: iso(NOW - 9 * DAY), status: 'inconclusive' })
    await write('20260522T000000Z-04', { createdAt: iso(NOW - 9 * DAY), status: 'passed', sourceName: 'other' })
    expect(await due()).toMatchObject([{ kind: 'drill-late', message: expect.stringContaining('61 days ago') }])

    await write('20260523T000000Z-05', { createdAt: iso(NOW - 9 * DAY), status: 'passed' })
    expect(await due()).toEqual([])

    async function write(id: string, parts: Partial<DrillReport>) {
      await writeReport(repository, DRILLS, drillReport({ ...parts, id }))
    }
  })

  it('is not made up for by a report that nobody of this repository signed', async () => {
    await using made = await makeRepository()
    await using other = await makeRepository()
    const { signature } = await writeReport(other.repository, DRILLS, drillReport({ id: 'planted' }))
    const planted = Buffer.from(JSON.stringify({ report: drillReport({ id: 'planted' }), signature }))
    await made.repository.sealed.write('drills/planted', DRILLS.type, planted)

    const { drills, damaged } = await drillHistory(made.repository, 'icu')
    expect(drills).toEqual([])
    expect(damaged).toHaveLength(1)
  })
})

describe('the trend of drills', () => {
  it('counts those that passed', () => {
    const of = (ms: number, status: DrillReport['status']) =>
      drillReport({
        status,
        rto: { fromFault: { ms, targetMs: null, met: null }, fromAuthorisation: { ms, targetMs: null, met: null } },
      })
    const { drills, rtoMs } = drillTrend([of(100, 'passed'), of(9000, 'failed'), of(300, 'passed'), of(200, 'passed')])

    expect({ drills, rtoMs }).toEqual({ drills: 3, rtoMs: { last: 200, median: 200, most: 300 } })
  })
})

describe('an answer', () => {
  const answer = (number: string, digest: string) => ({ name: 'q', rows: 1, number, digest, ms: 1, failure: null })

  it.each([
    ['equal', '5', '5', null, false, 'same'],
    ['unlike while nothing was lost', '5', '6', null, false, 'differs'],
    ['unlike while the source went on', '5', '6', null, true, 'moved-on'],
    ['unlike what is expected, whatever the source says', '5', '5', '6', true, 'differs'],
  ] as const)('that is %s', (_, copy, source, expected, movedOn, outcome) => {
    const question = { name: 'q', sql: '', expected }
    expect(checkOf(question, answer(copy, copy), answer(source, source), movedOn).outcome).toBe(outcome)
  })

  it('that was not given is none', () => {
    expect(checkOf({ name: 'q', sql: '', expected: null }, null, null, false).outcome).toBe('failed')
  })
})

describe('times that people say', () => {
  it('come in their order, and what nobody said is the time of what follows', () => {
    const times = new StepTimes({ T0: 1000, T2: 3000 }, 9000)
    expect(times.timeline().map(({ step, at, by }) => [step, Date.parse(at), by])).toEqual([
      ['T0', 1000, 'person'],
      ['T1', 3000, 'program'],
      ['T2', 3000, 'person'],
      ['T3', 9000, 'program'],
      ['T4', 9000, 'program'],
    ])
    expect(() => new StepTimes({ T0: 3000, T1: 1000 }, 9000)).toThrow(/T1 lies before T0/)
    expect(() => new StepTimes({ T0: 10_000 }, 9000)).toThrow(/ahead/)
  })
})

describe('the page of a drill', () => {
  it('is the same bytes whenever it is made', async () => {
    await using made = await makeRepository()
    const signed = await writeReport(made.repository, DRILLS, drillReport({ id: 'one' }))

    expect(Buffer.compare(await drillPdf(signed, 'zh', CHINA), await drillPdf(signed, 'zh', CHINA))).toBe(0)
  })

  it.skipIf(!hasPdfText).each(['zh', 'en'] as const)(
    'in %s says its figures, cites the standard, and claims no level',
    async (language) => {
      await using made = await makeRepository()
      const signed = await writeReport(made.repository, DRILLS, drillReport({ id: 'one' }))
      const text = pdfText(await drillPdf(signed, language, CHINA))

      expect(text).toContain(language === 'zh' ? '灾难恢复演练报告' : 'Disaster recovery drill report')
      expect(text).toContain('GB/T 20988-2025')
      expect(text.replaceAll(/\s/g, '')).toContain(signed.sha256.slice(0, 32))
      expect(text).not.toMatch(/达到.{0,4}级|20988-2007/)
    },
  )

  it.skipIf(!hasPdfText)('in Chinese says what was found, and what it means, in Chinese', async () => {
    await using made = await makeRepository()
    const [found] = findingsOf(drillReport({ cleanup: null, backup: null, rto: MISSED }))
    const report = drillReport({
      findings: [reported(found!)],
      deviations: [DRILL_SENTENCES.noLog.en],
      notRebuilt: [{ kind: 'roles', name: 'all roles of the server', reason: 'rows break it; not made' }],
      status: 'failed',
    })
    const text = pdfText(await drillPdf(await writeReport(made.repository, DRILLS, report), 'zh', CHINA))
    const dense = text.replaceAll(/\s/g, '')
    expect(dense).toContain('未达恢复目标')
    expect(dense).toContain('RTO实测9.0秒，允许1.0秒')
    expect(dense).toContain('演练恢复到快照')
    expect(dense).toContain('角色服务器的全部角色:现有行不符合，未建立')
  })
})

const MISSED = {
  fromFault: { ms: 9000, targetMs: 1000, met: false },
  fromAuthorisation: { ms: null, targetMs: null, met: null },
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
