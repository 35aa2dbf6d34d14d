// The header of a SQLite file (https://sqlite.org/fileformat2.html §1.3), as far as it tells a file that is none, or not whole, before SQLite is asked.

export const headerBytes = 100
const magic = 'SQLite format 3\0'
const pageBytesMin = 512
const pageBytesMax = 65_536

/** Undefined: it may be a database of so many bytes. */
export function headerProblem(header: Uint8Array, fileBytes: number): string | undefined {
  const view = Buffer.from(header.buffer, header.byteOffset, header.byteLength)
  if (view.length < headerBytes || view.toString('latin1', 0, magic.length) !== magic) return 'not a SQLite 3 file'
  const stated = view.readUInt16BE(16)
  const pageBytes = stated === 1 ? pageBytesMax : stated
  if (pageBytes < pageBytesMin || (pageBytes & (pageBytes - 1)) !== 0) return 'its page size is none'
  if (fileBytes % pageBytes !== 0) return 'it is not whole: its length is no multiple of its page size'
  const versions = [view[18] ?? 0, view[19] ?? 0]
  if (versions.some((version) => version !== 1 && version !== 2)) return 'it is of a format that this program does not know'
  if (view[21] !== 64 || view[22] !== 32 || view[23] !== 32) return 'its header is damaged'
  return undefined
}

/** Bytes 18 and 19: 1 rollback journal, 2 write-ahead log. */
export function journalBytes(mode: 'delete' | 'wal'): Uint8Array {
  return mode === 'wal' ? new Uint8Array([2, 2]) : new Uint8Array([1, 1])
}
export const journalOffset = 18
