/**
 * Sentences that a report keeps in English, said in the language of the paper. Each is written once, in both languages,
 * with places for what was found; paper in Chinese finds a sentence again by its words, also in reports of long ago.
 * What nobody wrote in Chinese (the words of an error) stays as it is.
 */
import type { Language, Phrase } from './language.ts'
import { fill } from './words.ts'

const PLACE = /\{(\w+)\}/

/** What stands in the places is said again, too: a finding may quote its reason. The first that fits is taken. */
export function sayIn(language: Language, sentence: string, known: readonly Phrase[]): string {
  if (language === 'en') return sentence
  for (const phrase of known) {
    const found = placesOf(sentence, phrase.en)
    if (found === null) continue
    const values = Object.entries(found).map(([name, value]) => [name, sayIn(language, value, known)])
    return fill(phrase[language], Object.fromEntries(values))
  }
  return sentence
}

/** By their names; null when it is another sentence. */
function placesOf(sentence: string, english: string): Readonly<Record<string, string>> | null {
  const parts = english.split(PLACE)
  const pattern = parts.map((part, index) => (index % 2 === 0 ? literally(part) : `(?<${part}>.+?)`)).join('')
  const found = new RegExp(`^${pattern}$`, 's').exec(sentence)
  return found && { ...found.groups }
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
