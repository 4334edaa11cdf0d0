/**
 * The steps of a page of the runbook. A step is a line `1. \`command\``; what stands in code in the sentence that says what
 * you see is in what it printed.
 */
export interface Step {
  readonly section: string
  readonly command: string
  readonly sees: readonly string[]
}

export function stepsOf(text: string): Step[] {
  const parts = text.split(/^<!-- run: /m).slice(1)
  return parts.flatMap((part) => {
    const section = /^\S+/.exec(part)![0]
    const [list = ''] = part.split(/\n\n/)
    return list
      .split(/^\d+\. /m)
      .slice(1)
      .map((step) => stepOf(section, step))
  })
}

function stepOf(section: string, step: string): Step {
  const [first = '', ...below] = step.split('\n')
  const command = /^`(.+)`$/.exec(first)?.[1] ?? ''
  const [, english, chinese] =
    /You see (.*?)\.(?: |$)|会看到(.*?)。/.exec(below.map((line) => line.trim()).join(' ')) ?? []
  const codes = [...(english ?? chinese ?? '').matchAll(/`([^`]+)`/g)]
  return { section, command, sees: codes.map(([, code]) => code!) }
}
