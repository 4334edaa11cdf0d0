/** Configurations that we hand out: each is one that `chartkeep serve` takes, with what stands behind `#`, too. */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parseConfiguration } from '../../src/config.ts'
import { usualKinds } from '../../src/service/kinds/table.ts'
import { serviceSettings } from '../../src/service/settings.ts'

const EXAMPLES = [
  'packaging/examples/chartkeep.yaml',
  'packaging/examples/chartkeep.zh-CN.yaml',
  'docker/chartkeep.yaml',
]
const NOW_MS = Date.UTC(2026, 0, 1)

const kinds = usualKinds({
  sources: [],
  openSource: () => Promise.reject(),
  connectionOf: () => Promise.reject(),
  scratchOf: () => Promise.reject(),
  retention: { rules: new Map(), graceMs: 0 },
  scrubBytesMax: null,
  nowMs: () => NOW_MS,
  sleep: async () => {},
  random: (bytes) => new Uint8Array(bytes),
  host: 'here',
  temporaryDirectory: 'none',
})

function tasksOf(text: string, only = kinds): string[] {
  const configuration = parseConfiguration(text, { path: 'chartkeep.yaml' })
  const about = { kinds: only, repositoryId: 'r', zone: 'UTC', nowMs: NOW_MS }
  return serviceSettings(configuration, about).tasks.flatMap(({ kind, schedule }) => (schedule ? [kind] : []))
}

describe('an example', () => {
  it.each(EXAMPLES)('%s is taken by the service', async (path) => {
    const text = await readFile(path, 'utf8')
    const uncommented = text.replaceAll(/^( *)# (\w+: \{.*)$/gm, '$1$2')
    const tasks = tasksOf(text)

    expect(tasks).toContain('snapshot')
    if (path.startsWith('packaging')) expect(tasks).toHaveLength(Object.keys(kinds).length)
    expect(tasksOf(uncommented)).toEqual(tasks)
  })

  it('wanting a kind of job that this version cannot run is refused, by its name', async () => {
    const text = await readFile(EXAMPLES[0]!, 'utf8')

    expect(() => tasksOf(text, { ...kinds, drill: null })).toThrow('service.jobs.drill')
  })
})
