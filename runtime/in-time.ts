// Waiting that has an end.

/** `late`: it goes on, and nobody waits for it any more. */
export async function inTime<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    // A timer takes no more.
    timer = setTimeout(() => resolve('late'), Math.min(timeoutMs, 2 ** 31 - 1)).unref()
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
