/** From the schemas of the API's own document to requests: most fit, some are bent out of shape in one place. */
import fc from 'fast-check'

export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Schema
  readonly maxItems?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

/** Values that are there, by the name of the field that may want them. */
export type Pool = Readonly<Record<string, readonly unknown[]>>

export function arbitraryOf(schema: Schema, name: string, pool: Pool): fc.Arbitrary<unknown> {
  const made = madeOf(schema, name, pool)
  const known = pool[name]
  return known ? fc.oneof({ arbitrary: fc.constantFrom(...known), weight: 3 }, { arbitrary: made, weight: 1 }) : made
}

/** What no schema of ours takes, or hardly. */
export const nonsense: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    true,
    -1,
    1e308,
    '',
    ' ',
    '\u0000',
    '../..',
    "'; DROP TABLE note; --",
    '%00',
    '\u202e',
    '{{7*7}}',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.constant({}), { maxLength: 3 }),
  fc.constant('x'.repeat(5_000)),
  fc.dictionary(fc.constantFrom('__proto__', 'constructor', 'toString', 'x'), fc.constant('y')),
)

/** In one place of an object something else, or something more. */
export function bent(value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(value, fc.nat(), nonsense).map(([made, at, odd]) => {
    if (typeof made !== 'object' || made === null) return odd
    const names = [...Object.keys(made), 'unasked']
    return { ...made, [names[at % names.length]!]: odd }
  })
}

function madeOf(schema: Schema, name: string, pool: Pool): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.type === 'object') return objectOf(schema, pool)
  if (schema.type === 'array') {
    return fc.array(arbitraryOf(schema.items ?? {}, name, pool), { maxLength: Math.min(4, schema.maxItems ?? 4) })
  }
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'integer' || schema.type === 'number') {
    return fc.integer({ min: schema.minimum ?? -10, max: Math.min(schema.maximum ?? 1_000, 1_000) })
  }
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern))
  return fc.string({
    unit: 'grapheme',
    minLength: schema.minLength ?? 0,
    maxLength: Math.min(schema.maxLength ?? 30, 30),
  })
}

function objectOf({ properties = {}, required = [] }: Schema, pool: Pool): fc.Arbitrary<unknown> {
  const fields = Object.entries(properties).map(([name, schema]) => [name, arbitraryOf(schema, name, pool)] as const)
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...required] })
}
