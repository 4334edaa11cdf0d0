/**
 * What a sample says of all: the most rows that may be wrong when so few of the sample were. Exact, by the hypergeometric
 * distribution: the sample was drawn from so many rows, without putting back. With the whole looked at, it is what was found.
 */

const CONFIDENCE = 0.95

export interface SampleResult {
  readonly population: number
  readonly sample: number
  readonly failures: number
}

/**
 * The largest number K of wrong rows among all, for which as few failures as were seen, or fewer, come with a probability
 * above 1 − CONFIDENCE.
 */
export function upperBound({ population, sample, failures }: SampleResult): number {
  if (sample === population) return failures
  let [low, high] = [failures, population - (sample - failures)]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (probabilityOfAtMost(failures, { population, sample, wrong: middle }) > 1 - CONFIDENCE) low = middle
    else high = middle - 1
  }
  return low
}

/** P(X ≤ failures), X the wrong rows in a sample of so many, of so many rows of which `wrong` are. */
export function probabilityOfAtMost(
  failures: number,
  { population, sample, wrong }: { population: number; sample: number; wrong: number },
): number {
  const right = population - wrong
  const least = Math.max(0, sample - right)
  let sum = 0
  for (let count = least; count <= Math.min(failures, sample, wrong); count += 1) {
    sum += Math.exp(logChoose(wrong, count) + logOfSharing(right, sample - count, population, sample))
  }
  return Math.min(1, sum)
}

/** log (C(right, taken) / C(population, sample)): as ratios, so that nothing large is taken from something large. */
function logOfSharing(right: number, taken: number, population: number, sample: number): number {
  let log = 0
  for (let index = 0; index < taken; index += 1) log += Math.log((right - index) / (population - index))
  // The factors of C(population, sample) that no factor of the other stands against.
  for (let index = taken; index < sample; index += 1) log += Math.log((index + 1) / (population - index))
  return log
}

function logChoose(n: number, k: number): number {
  let log = 0
  for (let index = 0; index < k; index += 1) log += Math.log((n - index) / (index + 1))
  return log
}
