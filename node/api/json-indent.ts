// Indents JSON text by four spaces as Go's json.Indent does. It works on the text, so that integers beyond 2^53 pass unharmed.

export function indentJson(json: string): string {
  let out = ''
  let depth = 0
  const token = /"(?:[^"\\]|\\.)*"|[^",:[\]{}]+|./gs
  let opened = false
  for (const [text] of json.matchAll(token)) {
    const closes = text === ']' || text === '}'
    if (opened && !closes) out += `\n${' '.repeat(4 * ++depth)}`
    if (closes && !opened) out += `\n${' '.repeat(4 * --depth)}`
    opened = text === '[' || text === '{'
    out += text === ':' ? ': ' : text
    if (text === ',') out += `\n${' '.repeat(4 * depth)}`
  }
  return out
}
