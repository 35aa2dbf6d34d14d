// Values as SQL text that gives the very same values again: integers and reals exactly, text to the byte, blobs.

/** SQLite's own reader of numbers rounds as JavaScript does, so the shortest text that tells a double from its neighbours is enough. */
export function numberLiteral(value: number): string {
  if (value === Infinity) return '1e999'
  if (value === -Infinity) return '-1e999'
  if (Object.is(value, -0)) return '-0.0'
  const text = String(value)
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

export function blobLiteral(value: Uint8Array): string {
  return `x'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}'`
}

/**
 * The sqlite3 shell drops a carriage return at the end of a line and ends a statement at a NUL, so these two are put in by functions; other characters stand as they are.
 */
export function textLiteral(value: string): string {
  let text = `'${value.replaceAll("'", "''")}'`
  for (const [character, code] of [
    ['\r', 13],
    ['\0', 0],
  ] as const) {
    if (!text.includes(character)) continue
    const stand = unusedWord(value, code)
    text = `replace(${text.replaceAll(character, stand)},'${stand}',char(${code}))`
  }
  return text
}

/** Text whose bytes are no UTF-8; the database that it is read into must be one of UTF-8 too. */
export function brokenTextLiteral(bytes: Uint8Array): string {
  return `CAST(${blobLiteral(bytes)} AS TEXT)`
}

function unusedWord(value: string, code: number): string {
  for (let count = 0; ; count += 1) {
    const word = `\\${code}_${count === 0 ? '' : count}`
    if (!value.includes(word)) return word
  }
}
