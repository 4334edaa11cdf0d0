/** Whoever asks for a plan cannot approve it under another spelling of the same name. */
import { expect, it } from 'vitest'
import { isSamePerson } from '../../../src/restore/patient/approval.ts'

it.each([
  ['Wang Fang', 'wang  fang'],
  ['Wang Fang', 'Fang, Wang'],
  ['Wang Fang', 'WangFang'],
  ['Wang Fang', 'Ｗａｎｇ　Ｆａｎｇ'],
  ['Wang Fang', 'Wáng Fāng'],
  ['Wang Fang', 'Wang\u200b Fa\u00adng'],
  ['Groß, Jörg', 'JORG GROSS'],
  ['王芳', '王 芳'],
])('%s is %s', (name, other) => {
  expect(isSamePerson(name, [other])).toBe(true)
})

it.each([
  ['Wang Fang', 'Wang Fan'],
  ['王芳', '王方'],
  ['Li Na', 'Li Ning'],
])('%s is not %s', (name, other) => {
  expect(isSamePerson(name, [other])).toBe(false)
})
