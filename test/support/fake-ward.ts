/** A ward of lines for the fake source: a table with a locator, one whose key holds its anchor, a bag, a dictionary. */
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import type { FakeTables } from './fake-source.ts'

export const fakeLayout: PatientLayout = {
  patient: { table: 'public.patient', key: 'patient_id', label: [] },
  anchors: new Map([
    ['public.diagnosis', 'patient_id'],
    ['public.log', 'patient_id'],
    ['public.vital', 'patient_id'],
  ]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

/** `edition` changes the later rows of the large table, as another day on the ward does. */
export function fakeWard({ vitals, edition }: { readonly vitals: number; readonly edition: number }): FakeTables {
  const count = (length: number, line: (n: number) => string) => Array.from({ length }, (_, n) => line(n))
  const changedFrom = vitals - 40
  return {
    'public.patient': {
      columns: ['patient_id', 'name'],
      primaryKey: ['patient_id'],
      lines: count(20, (n) => `${n}\tname of ${n}`),
    },
    'public.vital': {
      columns: ['id', 'patient_id', 'value'],
      primaryKey: ['id'],
      lines: count(vitals, (n) => {
        const value = ((n * 7919) % 1000) + (n >= changedFrom ? edition * 1000 : 0)
        return `${n}\t${Math.floor((n * 20) / vitals)}\t${value}.${n % 10} mmHg, measured by the monitor of the bed`
      }),
    },
    'public.diagnosis': {
      columns: ['patient_id', 'line', 'code'],
      primaryKey: ['patient_id', 'line'],
      lines: count(60, (n) => `${n % 20}\t${n}\tI${n}`),
    },
    'public.log': {
      columns: ['patient_id', 'message'],
      primaryKey: [],
      lines: count(50, (n) => `${n % 20}\talarm ${n % 3}`),
    },
    'public.drug': { columns: ['code'], primaryKey: ['code'], lines: count(edition * 3, (n) => `D${n}`) },
  }
}
