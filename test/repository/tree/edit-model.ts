/** A table's rows as a Map, edited at random, and the tree that is edited after it. */
import { expect } from 'vitest'
import type { TreeEdit } from '../../../src/repository/tree/tree-editor.ts'
import type { TreeRoot } from '../../../src/repository/tree/tree-root.ts'
import { builtFromScratch, keyOf, rootFacts, TINY, Workshop } from './editor-support.ts'
import { WARD } from './support.ts'

type Random = () => number

/** After every step the root is that of a build from scratch; at the end every row is read. */
export async function playEdits(random: Random, steps: number): Promise<void> {
  const model = new Model(random)
  const workshop = new Workshop()
  let root: TreeRoot | null = null
  for (let step = 0; step < steps; step += 1) {
    root = (await workshop.edit(WARD, root, randomStep(model, random), TINY)).root
    await workshop.flush()
    expect(rootFacts(root)).toEqual(rootFacts(await builtFromScratch(WARD, model.sortedLines(), TINY)))
  }
  expect(await workshop.textOf(WARD, root!)).toBe(model.sortedLines().join(''))
}

function upTo(random: Random, max: number): number {
  return Math.floor(random() * max)
}

export function hexKey(line: string): string {
  return Buffer.from(keyOf(WARD, line)).toString('hex')
}

function newLine(random: Random, anchors: number, ids: number): string {
  return `${1 + upTo(random, anchors)}\t${upTo(random, ids)}\t${'v'.repeat(upTo(random, 30))}\t${upTo(random, 1000)}\n`
}

/** A table's rows by key, changed at random: `edits` are what the editor is told. */
class Model {
  readonly lines = new Map<string, string>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  sortedLines(): string[] {
    return [...this.lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line)
  }

  insert(count: number, anchors = 12, ids = 400): TreeEdit[] {
    const edits: TreeEdit[] = []
    for (let each = 0; each < count; each += 1) {
      const line = newLine(this.#random, anchors, ids)
      if (this.lines.has(hexKey(line))) continue
      this.lines.set(hexKey(line), line)
      edits.push({ key: keyOf(WARD, line), expects: 'absent', after: Buffer.from(line) })
    }
    return edits
  }

  /** Deletes or changes `count` neighbours from somewhere. */
  changeRun(count: number): TreeEdit[] {
    const keys = [...this.lines.keys()].sort()
    const start = upTo(this.#random, keys.length + 1)
    const isDeletion = this.#random() < 0.5
    return keys.slice(start, start + count).map((key) => (isDeletion ? this.#delete(key) : this.#change(key)))
  }

  changeScattered(count: number): TreeEdit[] {
    const keys = new Set<string>()
    const all = [...this.lines.keys()]
    for (let each = 0; each < count && all.length > 0; each += 1) keys.add(all[upTo(this.#random, all.length)]!)
    return [...keys].map((key) => (this.#random() < 0.4 ? this.#delete(key) : this.#change(key)))
  }

  #delete(key: string): TreeEdit {
    const line = this.lines.get(key)!
    this.lines.delete(key)
    return { key: keyOf(WARD, line), expects: 'present', after: null }
  }

  #change(key: string): TreeEdit {
    const before = this.lines.get(key)!
    const [anchor, id, , number] = before.slice(0, -1).split('\t')
    const text = 'u'.repeat(upTo(this.#random, 30))
    const line = `${anchor}\t${id}\t${text}\t${number}\n`
    this.lines.set(key, line)
    // The last field as one that was not sent: it is taken from the row before.
    const after = (old: Buffer) => Buffer.from(`${anchor}\t${id}\t${text}\t${old.toString().split('\t')[3]}`)
    return { key: keyOf(WARD, before), expects: 'present', after: this.#random() < 0.5 ? after : Buffer.from(line) }
  }
}

function randomStep(model: Model, random: Random): TreeEdit[] {
  const kind = random()
  if (kind < 0.25) return model.insert(1 + upTo(random, 150))
  if (kind < 0.45) return model.insert(1 + upTo(random, 4))
  if (kind < 0.6) return model.changeRun(1 + upTo(random, 8))
  if (kind < 0.75) return model.changeRun(model.lines.size)
  return model.changeScattered(1 + upTo(random, 10))
}
