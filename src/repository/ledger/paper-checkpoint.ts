/**
 * A checkpoint on paper: a block that a person prints, files away, reads aloud over the telephone and types back years
 * later. What is written down outside the reach of the repository's owner cannot be rewritten with it.
 *
 *     chartkeep checkpoint, paper form 1
 *     origin  chartkeep/9f2c6a41d07b                AXR FFJ
 *     size    20852163                              EQM 7TR
 *     time    2026-03-01T10:15:00Z                  ZKJ DA2
 *     root-a  1B2H GTMH GRZ8 W7CG                   K6Q PVC     the root in base 32: 52 symbols,
 *     root-b  S040 2JN8 KFTX N3HY                   PZF VYN     cut 16 + 16 + 20
 *     root-c  W7CZ 0XHG Y0VR YT7H NDH0              F5S MWC
 *     whole   VSK6 BANR                             Z1X 3AN     40 bits of SHA-256 over the lines above
 *
 * Each line ends with six check symbols over its label and content (check-symbols.ts), so that a mistake is named by
 * its line; `whole` refuses lines that are each right and do not belong together. Reading back forgives case, spaces,
 * hyphens between symbols, full-width characters of a Chinese input method, and I, L, O for 1, 1, 0 among symbols.
 *
 * There is no signature on it: it is as trustworthy as the drawer it lay in.
 */
import { hash } from 'node:crypto'
import { assert, Failure } from '../../errors.ts'
import { CHECK_SYMBOLS, checkSymbols, foldSymbols, fromSymbols, isCheckable, toSymbols } from './check-symbols.ts'
import { type Checkpoint, checkpointTime, isTime, makeCheckpoint } from './checkpoint.ts'
import { HASH_BYTES } from './merkle.ts'

const TITLE = 'chartkeep checkpoint, paper form 1'
const LABELS = ['origin', 'size', 'time', 'root-a', 'root-b', 'root-c', 'whole'] as const
type Label = (typeof LABELS)[number]

/** Where the symbols of the root are cut: 16 + 16 + 20. */
const ROOT_CUTS = { 'root-a': [0, 16], 'root-b': [16, 32], 'root-c': [32, 52] } as const
/** 40 bits are eight symbols exactly. */
const WHOLE_BYTES = 5
const CONTENT_COLUMNS = 36
/** A typed block is a few hundred characters; what is longer is something else. */
const TYPED_CHARACTERS_MAX = 4096

/**
 * @throws bad-configuration when the origin cannot be read aloud: lower-case letters, digits and, between them, `. _ / : -`.
 */
export function formatPaper(checkpoint: Checkpoint): string {
  const time = checkpointTime(checkpoint)
  assert(time !== null && checkpoint.extensions.length === 1, 'a checkpoint for paper has a time and nothing else')
  if (!isSpeakable(checkpoint.origin)) {
    throw new Failure('bad-configuration', `ledger origin ${checkpoint.origin} cannot be written on paper`, {
      hints: [
        'An origin for paper has up to 70 lower-case letters and digits and, between them, the characters . _ / : - only.',
      ],
    })
  }
  const contents = contentsOf(checkpoint, time)
  const lines = LABELS.map((label) => {
    const shown = isSymbolLabel(label) ? groupsOf(contents[label].toUpperCase(), 4) : contents[label]
    const check = groupsOf(checkSymbols(`${label}:${contents[label].toLowerCase()}`).toUpperCase(), 3)
    return `${label.padEnd(8)}${shown.padEnd(CONTENT_COLUMNS)}  ${check}\n`
  })
  return `${TITLE}\n${lines.join('')}`
}

/** @throws bad-usage naming the first line that is not as it was printed. */
export function parsePaper(typed: string): Checkpoint {
  if (typed.length > TYPED_CHARACTERS_MAX)
    throw refused('the block', `is longer than ${TYPED_CHARACTERS_MAX} characters`)
  const lines = typed
    .normalize('NFKC')
    .split(/[\r\n]+/)
    .map((line) => line.toLowerCase().replace(/\s/g, ''))
    .filter((line) => line !== '')
  if (lines.shift() !== TITLE.replace(/\s/g, '')) throw refused('the first line', `is not ${JSON.stringify(TITLE)}`)
  if (lines.length !== LABELS.length) throw refused('the block', `has ${lines.length} lines below its title, not 7`)

  const contents = Object.fromEntries(LABELS.map((label, index) => [label, readLine(label, lines[index]!)])) as Record<
    Label,
    string
  >
  return checkpointOf(contents)
}

function contentsOf({ origin, size, root }: Checkpoint, time: string): Record<Label, string> {
  const symbols = toSymbols(root)
  const lines = {
    origin,
    size: String(size),
    time,
    'root-a': symbols.slice(...ROOT_CUTS['root-a']),
    'root-b': symbols.slice(...ROOT_CUTS['root-b']),
    'root-c': symbols.slice(...ROOT_CUTS['root-c']),
  }
  const text = [TITLE, ...Object.entries(lines).map(([label, content]) => `${label}:${content.toLowerCase()}`), '']
  const digest = hash('sha256', text.join('\n'), 'buffer')
  return { ...lines, whole: toSymbols(digest.subarray(0, WHOLE_BYTES)) }
}

/** The content of one line, in lower case, proved by its check symbols. */
function readLine(label: Label, line: string): string {
  const named = line.startsWith(label) ? line.slice(label.length).replace(/^:/, '') : null
  if (named === null) throw refused(`line ${LABELS.indexOf(label) + 2}`, `does not begin with ${label}`)

  // Hyphens may stand between check symbols as well, and a hyphen is never the last character of a content.
  const { content, check } = splitCheck(named)
  const meant = isSymbolLabel(label) ? foldSymbols(content) : content
  if (!isCheckable(`${label}:${meant}`) || checkSymbols(`${label}:${meant}`) !== check) {
    throw refused(`line ${label}`, 'has a typing error, or was misread')
  }
  return meant
}

/** Cuts the last six symbols off, wherever hyphens stand among them. */
function splitCheck(line: string): { content: string; check: string } {
  let start = line.length
  for (let found = 0; start > 0 && found < CHECK_SYMBOLS; start--) {
    if (line[start - 1] !== '-') found += 1
  }
  return { content: line.slice(0, start).replace(/-+$/, ''), check: foldSymbols(line.slice(start)) }
}

function checkpointOf(contents: Record<Label, string>): Checkpoint {
  const root = fromSymbols(contents['root-a'] + contents['root-b'] + contents['root-c'], HASH_BYTES)
  const time = contents.time.toUpperCase()
  const size = Number(contents.size)
  const sound = root !== null && isTime(time) && String(size) === contents.size && Number.isSafeInteger(size)
  if (!sound || size < 0 || !isSpeakable(contents.origin)) throw refused('the block', 'was not printed by chartkeep')

  const checkpoint = makeCheckpoint({ origin: contents.origin, size, root, time })
  if (contentsOf(checkpoint, time).whole !== contents.whole) {
    throw refused('the block', 'has lines of different checkpoints: each is right, and together they are not')
  }
  return checkpoint
}

function isSymbolLabel(label: Label): boolean {
  return label.startsWith('root') || label === 'whole'
}

function isSpeakable(origin: string): boolean {
  return /^[a-z0-9]([a-z0-9._/:-]{0,68}[a-z0-9])?$/.test(origin)
}

function groupsOf(symbols: string, length: number): string {
  return symbols.match(new RegExp(`.{1,${length}}`, 'g'))?.join(' ') ?? ''
}

function refused(where: string, problem: string): Failure {
  return new Failure('bad-usage', `paper checkpoint: ${where} ${problem}`, {
    hints: ['Compare this line with the paper, symbol by symbol; spaces and capitals do not matter.'],
  })
}
