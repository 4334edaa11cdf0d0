/**
 * HMAC (RFC 2104) with SHA-256 (FIPS 180-4) of many short messages: a call for each costs Node more than hashing it does.
 * Four messages go through each block together, a lane each; a message that is at its end before the others stays there.
 */

const BLOCK: usize = 64
const DIGEST: usize = 32
const LANES: u32 = 4
/** Of each of eight words, or of 64, four lanes. */
const STATE: usize = memory.data(8 * 16, 16)
const INNER: usize = memory.data(8 * 16, 16)
const OUTER: usize = memory.data(8 * 16, 16)
const WORDS: usize = memory.data(64 * 16, 16)
/** The digests of four inner hashes, each with what fills up its block. */
const SECOND: usize = memory.data(4 * 64, 16)

const INITIAL: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
])

// biome-ignore format: sixteen rows of four, as FIPS 180-4 prints them
const K: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
])

/** @param innerBlock the key's block of 64 bytes, combined with the inner pad; `outerBlock` with the outer */
export function setHmacKey(innerBlock: usize, outerBlock: usize): void {
  keyed(INNER, innerBlock)
  keyed(OUTER, outerBlock)
  for (let lane: usize = 0; lane < LANES; lane += 1) fillUp(SECOND + lane * BLOCK, DIGEST)
}

function keyed(state: usize, block: usize): void {
  for (let word: usize = 0; word < 8; word += 1) v128.store(STATE + 16 * word, i32x4.splat(load<u32>(INITIAL + 4 * word)))
  blocks(block, block, block, block, i32x4.splat(-1))
  memory.copy(state, STATE, 128)
}

/**
 * @param messages of each its address and its length; behind it there is room for nine bytes and for filling up its last
 * block of 64, which is written to
 * @param out 32 bytes for each
 */
export function hmacEach(messages: usize, count: u32, out: usize): void {
  for (let first: u32 = 0; first < count; first += LANES) {
    const last = count - first - 1
    const a = messages + 8 * first
    const b = a + 8 * min<u32>(1, last)
    const c = a + 8 * min<u32>(2, last)
    const d = a + 8 * min<u32>(3, last)
    memory.copy(STATE, INNER, 128)
    inner(a, b, c, d)
    storeDigests(SECOND, BLOCK, LANES)
    memory.copy(STATE, OUTER, 128)
    blocks(SECOND, SECOND + BLOCK, SECOND + 2 * BLOCK, SECOND + 3 * BLOCK, i32x4.splat(-1))
    storeDigests(out + first * DIGEST, DIGEST, min<u32>(LANES, last + 1))
  }
}

function inner(a: usize, b: usize, c: usize, d: usize): void {
  const aEnd = filledUp(a)
  const bEnd = filledUp(b)
  const cEnd = filledUp(c)
  const dEnd = filledUp(d)
  let aAt: usize = load<u32>(a)
  let bAt: usize = load<u32>(b)
  let cAt: usize = load<u32>(c)
  let dAt: usize = load<u32>(d)
  while (aAt < aEnd || bAt < bEnd || cAt < cEnd || dAt < dEnd) {
    let lanes = i32x4.splat(0)
    if (aAt < aEnd) lanes = i32x4.replace_lane(lanes, 0, -1)
    if (bAt < bEnd) lanes = i32x4.replace_lane(lanes, 1, -1)
    if (cAt < cEnd) lanes = i32x4.replace_lane(lanes, 2, -1)
    if (dAt < dEnd) lanes = i32x4.replace_lane(lanes, 3, -1)
    // A lane at its end reads its last block once more, for nothing.
    blocks(min(aAt, aEnd - BLOCK), min(bAt, bEnd - BLOCK), min(cAt, cEnd - BLOCK), min(dAt, dEnd - BLOCK), lanes)
    aAt += BLOCK
    bAt += BLOCK
    cAt += BLOCK
    dAt += BLOCK
  }
}

/** @returns the end of its last block */
function filledUp(message: usize): usize {
  return fillUp(load<u32>(message), load<u32>(message, 4))
}

/** One bit, zeros, and the length in bits, the key's block included. */
function fillUp(start: usize, length: usize): usize {
  const end = start + ((length + 8) / BLOCK + 1) * BLOCK
  store<u8>(start + length, 0x80)
  memory.fill(start + length + 1, 0, end - start - length - 1)
  store<u64>(end - 8, bswap<u64>(<u64>(BLOCK + length) << 3))
  return end
}

function storeDigests(out: usize, stride: usize, count: u32): void {
  for (let lane: usize = 0; lane < count; lane += 1) {
    for (let word: usize = 0; word < 8; word += 1) {
      store<u32>(out + lane * stride + 4 * word, bswap<u32>(load<u32>(STATE + 16 * word + 4 * lane)))
    }
  }
}

@inline
function swapped(at: usize): v128 {
  const bytes = v128.load(at)
  return v128.shuffle<u8>(bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)
}

/** Four words of each lane's block, by word. */
@inline
function loadWords(a: usize, b: usize, c: usize, d: usize, offset: usize): void {
  const aWords = swapped(a + offset)
  const bWords = swapped(b + offset)
  const cWords = swapped(c + offset)
  const dWords = swapped(d + offset)
  const abLow = v128.shuffle<u32>(aWords, bWords, 0, 4, 1, 5)
  const abHigh = v128.shuffle<u32>(aWords, bWords, 2, 6, 3, 7)
  const cdLow = v128.shuffle<u32>(cWords, dWords, 0, 4, 1, 5)
  const cdHigh = v128.shuffle<u32>(cWords, dWords, 2, 6, 3, 7)
  const out = WORDS + 4 * offset
  v128.store(out, v128.shuffle<u32>(abLow, cdLow, 0, 1, 4, 5))
  v128.store(out, v128.shuffle<u32>(abLow, cdLow, 2, 3, 6, 7), 16)
  v128.store(out, v128.shuffle<u32>(abHigh, cdHigh, 0, 1, 4, 5), 32)
  v128.store(out, v128.shuffle<u32>(abHigh, cdHigh, 2, 3, 6, 7), 48)
}

@inline
function turned(word: v128, bits: i32): v128 {
  return v128.or(i32x4.shr_u(word, bits), i32x4.shl(word, 32 - bits))
}

/** One block of each lane, into STATE where `lanes` says so. */
function blocks(aAt: usize, bAt: usize, cAt: usize, dAt: usize, lanes: v128): void {
  for (let offset: usize = 0; offset < BLOCK; offset += 16) loadWords(aAt, bAt, cAt, dAt, offset)
  for (let word = WORDS; word < WORDS + 48 * 16; word += 16) {
    const early = v128.load(word, 16)
    const late = v128.load(word, 14 * 16)
    const first = v128.xor(v128.xor(turned(early, 7), turned(early, 18)), i32x4.shr_u(early, 3))
    const second = v128.xor(v128.xor(turned(late, 17), turned(late, 19)), i32x4.shr_u(late, 10))
    const sum = i32x4.add(i32x4.add(v128.load(word), first), i32x4.add(v128.load(word, 9 * 16), second))
    v128.store(word, sum, 16 * 16)
  }
  let a = v128.load(STATE)
  let b = v128.load(STATE, 16)
  let c = v128.load(STATE, 32)
  let d = v128.load(STATE, 48)
  let e = v128.load(STATE, 64)
  let f = v128.load(STATE, 80)
  let g = v128.load(STATE, 96)
  let h = v128.load(STATE, 112)
  for (let step: usize = 0; step < 64; step += 1) {
    const chosen = v128.bitselect(f, g, e)
    const most = v128.bitselect(c, b, v128.xor(a, b))
    const ofE = v128.xor(v128.xor(turned(e, 6), turned(e, 11)), turned(e, 25))
    const ofA = v128.xor(v128.xor(turned(a, 2), turned(a, 13)), turned(a, 22))
    const word = i32x4.add(v128.load(WORDS + 16 * step), i32x4.splat(load<u32>(K + 4 * step)))
    const sum = i32x4.add(i32x4.add(h, word), i32x4.add(chosen, ofE))
    h = g
    g = f
    f = e
    e = i32x4.add(d, sum)
    d = c
    c = b
    b = a
    a = i32x4.add(sum, i32x4.add(ofA, most))
  }
  add(0, a, lanes)
  add(16, b, lanes)
  add(32, c, lanes)
  add(48, d, lanes)
  add(64, e, lanes)
  add(80, f, lanes)
  add(96, g, lanes)
  add(112, h, lanes)
}

@inline
function add(offset: usize, word: v128, lanes: v128): void {
  v128.store(STATE + offset, i32x4.add(v128.load(STATE + offset), v128.and(word, lanes)))
}
