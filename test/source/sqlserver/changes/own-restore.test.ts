/** A restore of ours in a log of change data capture (P21): told from what the application did, in the past of a row and in a certificate. */
import { describe, expect, it } from 'vitest'
import { readRecord } from '../../../../src/repository/history/read-all.ts'
import { writeChangeset, writeOutcome } from '../../../../src/restore/patient/changeset.ts'
import { OwnRestores } from '../../../../src/restore/patient/own-restores.ts'
import { knownChangesets } from '../../../../src/verify/certificate/explain.ts'
import { readPeriod } from '../../../../src/verify/certificate/steps.ts'
import { Ward } from './captured-ward.ts'

const AT = '2026-01-03T00:00:00.000Z'
const CHANGESET = '20260103T000000Z-00000001.0000000a'
const NAME = '6F9619FF-8B86-D011-B42D-00C04FC964FF'
const NOBODYS = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

async function keepChangeset({ repository, model }: Ward): Promise<void> {
  const { systemId } = model.identity
  await writeChangeset(repository, {
    ...{
      changesetId: CHANGESET,
      planId: 'p',
      planSha256: '0'.repeat(64),
      sourceName: 'icu',
      patient: '1',
      kind: 'restore',
    },
    ...{
      requester: 'Wang Fang',
      executor: 'Zhao Min',
      authorisation: 'Li Na',
      startedAt: AT,
      snapshotId: 's',
      tables: [],
    },
    transaction: { id: NAME, engine: 'sqlserver', systemId, timeline: 1, databaseOid: 'icu' },
  })
  const written = { inserted: 1, updated: 0, deleted: 0, triggered: {}, sideEffects: null }
  await writeOutcome(repository, { changesetId: CHANGESET, outcome: 'committed', endedAt: AT, ...written })
}

/** A row that the application made, and that was then changed by somebody who left this word. */
async function changedBy(word: string | null) {
  const ward = await Ward.make()
  const session = ward.start()
  await session.connected()
  const before = await ward.backUp()
  ward.vital('7')
  await keepChangeset(ward)
  const edit = { kind: 'update', table: 'dbo.vital', id: '7', value: '2' } as const
  if (word === null) ward.model.commit(edit)
  else ward.model.commitRestore(word, edit)
  const after = await ward.backUp()
  await session.stop()
  const { repository } = ward
  const { events } = await readRecord(
    { repository, sourceName: 'icu', interval: { since: null, until: null }, signal: new AbortController().signal },
    'dbo.vital',
    [Buffer.from('7')],
  )
  const own = await OwnRestores.read(repository, 'icu')
  const manifests = await Promise.all([before, after].map(({ snapshot }) => repository.readManifest(snapshot)))
  const period = await readPeriod(repository, manifests[0]!.manifest, manifests[1]!.manifest)
  return {
    told: events.map(({ kind, time }) => [kind, own.of(time)]),
    known: await knownChangesets(repository, period),
  }
}

describe('a transaction of change data capture', () => {
  it('that a kept changeset speaks of is a restore of ours', async () => {
    const { told, known } = await changedBy(`changeset ${CHANGESET} ${NAME}`)

    expect(told).toEqual([
      ['insert', null],
      ['update', { kind: 'restore', changesetId: CHANGESET, authorisation: 'Li Na', executor: 'Zhao Min' }],
    ])
    expect(known).toMatchObject([{ id: CHANGESET, kind: 'restore', authorisation: 'Li Na' }])
  })

  it('that only says so is none: not by another name, nor without one', async () => {
    for (const word of [`changeset ${CHANGESET} ${NOBODYS}`, `changeset ${CHANGESET}`]) {
      const { told, known } = await changedBy(word)

      expect(told).toEqual([
        ['insert', null],
        ['update', { kind: 'unknown', changesetId: CHANGESET }],
      ])
      expect(known).toEqual([])
    }
  })

  it("that says nothing is the application's", async () => {
    const { told, known } = await changedBy(null)

    expect(told).toEqual([
      ['insert', null],
      ['update', null],
    ])
    expect(known).toEqual([])
  })
})
