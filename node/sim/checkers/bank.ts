// Whether transfers between accounts ever made or lost money: every read of all balances has the same total. PURE.

/** Undefined: nothing is wrong. */
export function bankProblem(reads: readonly (readonly number[])[], total: number): string | undefined {
  const wrong = reads.find((balances) => balances.reduce((sum, balance) => sum + balance, 0) !== total)
  return wrong === undefined ? undefined : `the accounts hold ${wrong.join(' ')}, not ${total} together`
}
