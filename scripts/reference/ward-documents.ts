/** Clinical documents: a new one, a further version, a signature. The document's row is locked before its parts. */

import { sha256 } from './document-rows.ts'
import { documentKinds, documentText, revisedText } from './document-text.ts'
import type { Sex } from './people.ts'
import { findingsText } from './phrases.ts'
import { bedsideOf } from './ward-charting.ts'
import { audit, forSomeStay, insert, nowZoned, type StayAction } from './ward-turn.ts'

const VERSION_COLUMNS = 'document_id, version, saved_at, saved_by, reason, content_sha256, content'

interface PatientRow {
  readonly mrn: string
  readonly name: string
  readonly sex: Sex
  readonly birth_year: number
}

const writeDocument: StayAction = async (turn, stay) => {
  const { stayId, patientId, doctorId, departmentId, bedNo } = stay
  const found = await turn.client.query<PatientRow>(
    'select mrn, name, sex, birth_year from public.patient where patient_id = $1',
    [patientId],
  )
  const row = found.rows[0]
  if (row === undefined) return false
  const subject = {
    ...bedsideOf(stay),
    patient: { mrn: row.mrn, name: row.name, sex: row.sex, ageYears: 2026 - row.birth_year },
    unit: { name: departmentId },
    bed: { bedNo },
    diagnosis: { name: '详见入科记录' },
  }
  const kind = turn.random.chance(0.5) ? documentKinds.progress : documentKinds.round
  const content = documentText(subject, turn.random, kind, turn.now)
  const digest = Buffer.from(sha256(content), 'hex')
  const documentId = turn.random.uuid()
  const when = nowZoned(turn)
  await insert(turn, {
    table: 'public.clinical_document',
    columns:
      'document_id, stay_id, patient_id, kind, title, current_version, author_id, created_at, updated_at, content_sha256, content',
    rows: [[documentId, stayId, patientId, kind.kind, kind.title, 1, doctorId, when, when, digest, content]],
  })
  await insert(turn, {
    table: 'public.document_version',
    columns: VERSION_COLUMNS,
    rows: [[documentId, 1, when, doctorId, null, digest, content]],
  })
  await audit(turn, { action: '新增', table: 'public.clinical_document', staffId: doctorId, stayId })
  return true
}

interface DocumentRow {
  readonly document_id: string
  readonly current_version: number
  readonly content: string
}

/** A correction after signing opens the document again: the new version waits for its own signature. */
const reviseDocument: StayAction = async (turn, stay) => {
  const { stayId, doctorId } = stay
  const found = await turn.client.query<DocumentRow>(
    `select document_id, current_version, content from public.clinical_document
     where stay_id = $1 and status <> '已归档' order by created_at desc, document_id limit 1 offset $2
     for no key update skip locked`,
    [stayId, turn.random.below(3)],
  )
  const row = found.rows[0]
  if (row === undefined) return false
  const content = revisedText(row.content, findingsText(bedsideOf(stay), turn.random, 2), turn.now)
  const digest = Buffer.from(sha256(content), 'hex')
  const version = row.current_version + 1
  await insert(turn, {
    table: 'public.document_version',
    columns: VERSION_COLUMNS,
    rows: [[row.document_id, version, nowZoned(turn), doctorId, '上级医师修改', digest, content]],
  })
  await turn.client.query(
    `update public.clinical_document set current_version = $2, content = $3, content_sha256 = $4, status = '待审签'
     where document_id = $1`,
    [row.document_id, version, content, digest],
  )
  await audit(turn, { action: '修改', table: 'public.clinical_document', staffId: doctorId, stayId })
  return true
}

const signDocument: StayAction = async (turn, { stayId, doctorId }) => {
  const found = await turn.client.query<{ document_id: string; current_version: number }>(
    `select document_id, current_version from public.clinical_document
     where stay_id = $1 and status in ('草稿', '待审签') order by created_at, document_id limit 1
     for no key update skip locked`,
    [stayId],
  )
  const row = found.rows[0]
  if (row === undefined) return false
  const signature = Buffer.from(turn.random.hex(64), 'hex')
  await insert(turn, {
    table: 'public.document_signature',
    columns: 'signature_id, document_id, version, signer_id, level, signed_at, signature',
    rows: [[turn.random.uuid(), row.document_id, row.current_version, doctorId, '书写医师', nowZoned(turn), signature]],
  })
  await turn.client.query(`update public.clinical_document set status = '已签名' where document_id = $1`, [
    row.document_id,
  ])
  await audit(turn, { action: '签名', table: 'public.clinical_document', staffId: doctorId, stayId })
  return true
}

export const documentActions = {
  'write-document': forSomeStay(writeDocument),
  'revise-document': forSomeStay(reviseDocument),
  'sign-document': forSomeStay(signDocument),
} as const
