/** A configuration as people write it, read by the real reader. */
import { stringify } from 'yaml'
import { parseConfiguration } from '../../src/config.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'

export function toLayout(source: object): PatientLayout {
  const file = stringify({
    repository: { url: 'file:///nowhere' },
    sources: { icu: { url: 'postgres://host/icu', ...source } },
  })
  const [icu] = parseConfiguration(file, { path: 'test.yaml' }).sources
  if (!icu) throw new Error('the configuration has no source')
  return icu
}
