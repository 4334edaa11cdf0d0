/** The page of a plan: what a row says can become no part of it, and what is masked is not in it. */
import { describe, expect, it } from 'vitest'
import { planHtml } from '../../../src/restore/patient/page/plan-page.ts'
import type { ReadPlan } from '../../../src/restore/patient/plan-document.ts'

const EVIL = `<script>alert("x")</script>&'`
const time = '2026-03-01T10:15:00.000Z'

function plan(rows: number): ReadPlan {
  const group = { status: 'changed', action: 'update', columns: ['body'], cause: null, rows, digests: '' } as const
  const table = {
    name: 'public.note',
    category: EVIL,
    columns: ['id', 'body'],
    columnsLost: [],
    columnsNew: [],
    same: 3,
  }
  const row = { ...group, past: Buffer.from(`1\tas then`), present: Buffer.from(`1\t${EVIL}`) }
  return {
    document: {
      format: 2,
      planId: 'p',
      repositoryId: 'r',
      sourceName: 'icu',
      target: { engine: 'postgresql', systemId: '1', databaseOid: '1', databaseName: EVIL },
      patient: 'P-A',
      moment: { asked: 'latest', snapshotId: 's', lsn: '0/1', sourceTime: time },
      lookedAt: { lsn: '0/1', visible: '', sourceTime: time },
      kind: { kind: 'restore', policy: 'changed' },
      requester: EVIL,
      createdAt: time,
      expiresAt: time,
      tables: [{ ...table, groups: [{ ...group, columns: [...group.columns] }] }],
      needed: [],
      leftOut: [{ table: 'public.x', reason: EVIL }],
      sealed: '',
    },
    patients: [Buffer.from('1')],
    tables: [{ ...table, rows: Array.from({ length: rows }, () => ({ ...row, columns: ['body'] })) }],
    sha256: 'digest',
  }
}

describe('the page of a plan', () => {
  it.each(['zh', 'en'] as const)('takes nothing that a row or a name says for a part of itself (%s)', (language) => {
    const page = planHtml(plan(1), { language, showValues: true })
    expect(page).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;')
    expect(page).toContain('as then')
    expect(page).not.toMatch(/<script|src=|href=|url\(/)
  })

  it('shows no value where values are masked', () => {
    const page = planHtml({ ...plan(1) }, { language: 'zh', showValues: false })
    expect(page).not.toContain('as then')
    expect(page).toContain('a******')
  })

  it('says how many rows it does not list', () => {
    const page = planHtml(plan(1_750), { language: 'en', showValues: false })
    expect(page.match(/<article/g)).toHaveLength(500)
    expect(page).toContain('1,250 more rows')
  })
})
