import { expect, test } from 'vitest'
import { tableOfStep, tablesOfForeignKey } from '../../../src/source/postgres/steps.ts'

const statements: readonly (readonly [sql: string, table: string | null])[] = [
  [
    'ALTER TABLE ONLY public.vital_sign\n    ADD CONSTRAINT vital_sign_pkey PRIMARY KEY (vital_id);',
    'public.vital_sign',
  ],
  ['ALTER TABLE "audit"."audit_log" ADD CONSTRAINT x UNIQUE (a)', '"audit"."audit_log"'],
  ['CREATE INDEX a_idx ON public.lab_result USING btree (a);', 'public.lab_result'],
  ['CREATE UNIQUE INDEX a_idx ON ONLY public.lab_result USING btree (a);', 'public.lab_result'],
  ['CREATE INDEX "a ON public.b" ON dict."给药 ""x""频次" USING gin (a)', 'dict."给药 ""x""频次"'],
  ['CREATE INDEX "an "" ON x.y" ON public.a USING btree (b)', 'public.a'],
  ['ALTER INDEX public.a_idx ATTACH PARTITION public.b_idx;', null],
  ['CREATE STATISTICS public.s ON a, b FROM public.lab_result', null],
]

test.each(statements)('%s stands on the rows of %s', (sql, table) => {
  expect(tableOfStep({ phase: 'key-or-index', object: 'INDEX', sql })).toBe(table)
})

const foreignKeys: readonly (readonly [sql: string, tables: readonly string[] | null])[] = [
  [
    'ALTER TABLE ONLY icu.stay\n    ADD CONSTRAINT f FOREIGN KEY (note) REFERENCES icu.note(note) DEFERRABLE;',
    ['icu.stay', 'icu.note'],
  ],
  ['ALTER TABLE "icu"."note" ADD CONSTRAINT "f" FOREIGN KEY (s) REFERENCES icu.stay(s)', ['icu.note', 'icu.stay']],
  ['ALTER TABLE ONLY icu.stay ADD CONSTRAINT f CHECK (a > 0)', null],
]

test.each(foreignKeys)('%s locks %j', (sql, tables) => {
  expect(tablesOfForeignKey({ phase: 'foreign-key', object: 'FK CONSTRAINT', sql })).toEqual(tables)
})
