// "Did you mean": the known name with the fewest single-letter edits, when that is few enough to be a slip.

/** Undefined when nothing is near: more than a third of the letters would have to change. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined
  let editsLeast = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const edits = editDistance(name, candidate)
    if (edits >= editsLeast) continue
    editsLeast = edits
    nearest = candidate
  }
  return nearest
}

/** Levenshtein's distance, one row at a time. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let line = 1; line <= left.length; line += 1) {
    const next = [line]
    for (let column = 1; column <= right.length; column += 1) {
      const replace = (row[column - 1] ?? 0) + (left[line - 1] === right[column - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[right.length] ?? 0
}
