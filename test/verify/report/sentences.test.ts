/** What a report keeps in English is found again, and said in Chinese, whatever stands in its places. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FAILED_SENTENCES } from '../../../src/verify/certificate/print/words.ts'
import { ALL_DRILL_SENTENCES, DRILL_SENTENCES } from '../../../src/verify/drill/sentences.ts'
import { ALL_GUARD_SENTENCES, GUARD_SENTENCES } from '../../../src/verify/guard/sentences.ts'
import { sayIn } from '../../../src/verify/report/sentences.ts'
import { fill } from '../../../src/verify/report/words.ts'

/** Names of tables and snapshots, numbers, and words of errors, with what patterns are made of. */
const found = fc
  .stringMatching(/^[a-z0-9_.*+?^$()|[\]\\{}-][a-z0-9_.*+?^$()|[\]\\{} -]{0,20}$/)
  .filter((text) => !/ (of|and|is|in|was|at|to) /.test(text) && text.trim() === text)

describe.each([
  ['drill', ALL_DRILL_SENTENCES],
  ['guard', ALL_GUARD_SENTENCES],
  ['certificate', FAILED_SENTENCES],
])('sentences of a %s', (_, known) => {
  it.each(known.map((phrase) => [phrase.en, phrase] as const))('%s', (_english, phrase) => {
    const places = [...new Set([...phrase.en.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!))].sort()
    expect([...phrase.zh.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort()).toEqual(places)
    const values = fc.record(Object.fromEntries(places.map((name) => [name, found])))
    fc.assert(
      fc.property(values, (facts) => {
        expect(sayIn('zh', fill(phrase.en, facts), known)).toBe(fill(phrase.zh, facts))
        expect(sayIn('en', fill(phrase.en, facts), known)).toBe(fill(phrase.en, facts))
      }),
      { numRuns: 20 },
    )
  })
})

it('a reason within a finding is said, too, and what nobody wrote stays', () => {
  const finding = fill(GUARD_SENTENCES.notComparable.en, { table: 'public.a', reason: GUARD_SENTENCES.otherKey.en })
  expect(sayIn('zh', finding, ALL_GUARD_SENTENCES)).toBe('表 public.a 无法比对：主键已变')
  const ended = fill(DRILL_SENTENCES.ended.en, { why: 'pack p-1 has no header' })
  expect(sayIn('zh', ended, ALL_DRILL_SENTENCES)).toBe('恢复中断：pack p-1 has no header')
  expect(sayIn('zh', 'pack p-1 has no header', ALL_DRILL_SENTENCES)).toBe('pack p-1 has no header')
})

it.each([
  ['guard', 'src/verify', ALL_GUARD_SENTENCES],
  ['drill', 'src', ALL_DRILL_SENTENCES],
])('of a %s is said by the code, word for word: what is reworded there would stay English', async (_, folder, known) => {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = files.filter(({ name }) => name.endsWith('.ts')).map(({ parentPath, name }) => join(parentPath, name))
  const isTranslation = (path: string) => /sentences\.ts$/.test(path)
  const texts = await Promise.all(paths.filter((path) => !isTranslation(path)).map((path) => readFile(path, 'utf8')))
  const written = texts.join('').replaceAll("\\'", "'")
  const sentences = new Set<string>(
    [...Object.values(GUARD_SENTENCES), ...Object.values(DRILL_SENTENCES)].map(({ en }) => en),
  )
  // Those are filled where they are found; of the others every word between places, or a colon, must stand somewhere.
  const quoted = known.filter(({ en }) => !sentences.has(en))
  const lost = quoted.filter(({ en }) => !en.split(/\{\w+\}|: /).every((part) => written.includes(part)))

  expect(quoted.length).toBeGreaterThan(5)
  expect(lost.map(({ en }) => en)).toEqual([])
})
