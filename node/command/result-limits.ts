// How much one answer may hold. Rows are gathered in memory before they are sent, so what they hold is counted while they are fetched.

/** Bytes of all rows of one request, and of its JSON: such an answer occupies a node about a second. */
export const resultBytesMax = 64 * 1024 * 1024
/** Bytes of one value that a statement makes or returns. More than that belongs into several rows, or another store. */
export const valueBytesMax = 16 * 1024 * 1024
