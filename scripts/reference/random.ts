/**
 * The only source of chance in the reference database and the ward program: xoshiro128**, seeded by a number and
 * labels. Everything that varies draws from a stream of its own (`new Random(seed, 'labs', stayId)`), so that a change
 * in one table's generator leaves the other tables byte for byte as they were.
 */
export class Random {
  private s0: number
  private s1: number
  private s2: number
  private s3: number

  constructor(seed: number, ...labels: readonly (string | number)[]) {
    let state = hashText(`${seed}/${labels.join('/')}`)
    const mix = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return z ^ (z >>> 16)
    }
    this.s0 = mix()
    this.s1 = mix()
    this.s2 = mix()
    this.s3 = mix() | 1
  }

  /** A whole number in [0, 2^32). */
  next(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(this.s1, 5), 7), 9) >>> 0
    const shifted = this.s1 << 9
    this.s2 ^= this.s0
    this.s3 ^= this.s1
    this.s1 ^= this.s2
    this.s0 ^= this.s3
    this.s2 ^= shifted
    this.s3 = rotateLeft(this.s3, 11)
    return scrambled
  }

  /** In [0, 1). */
  unit(): number {
    return this.next() / 4294967296
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }

  /** A whole number in [low, high], both included. */
  within(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  /**
   * Mean 0, deviation 1, never beyond 3.5: the sum of four uniform numbers. The hard limit is wanted, because no
   * measured value may leave its plausible range.
   */
  normal(): number {
    const a = this.next()
    const b = this.next()
    const sum = (a >>> 16) + (a & 0xffff) + (b >>> 16) + (b & 0xffff)
    return (sum / 65535 - 2) * 1.7320508
  }

  /** `byteCount` random bytes as hexadecimal digits. */
  hex(byteCount: number): string {
    let digits = ''
    while (digits.length < byteCount * 2) digits += this.next().toString(16).padStart(8, '0')
    return digits.slice(0, byteCount * 2)
  }

  /** A version 4 UUID. */
  uuid(): string {
    const digits = this.hex(16)
    const variant = '89ab'[Number.parseInt(digits[16] as string, 16) & 3]
    return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20)}`
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** FNV-1a. */
function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
