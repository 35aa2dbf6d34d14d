// Kubernetes quantities: `1Gi`, `500M`, `1.5e9`, `100m`. Kept as the user typed them (a normalised copy would make GitOps tools see drift); parsed only to be compared.
// Grammar: Kubernetes API documentation, "Quantity".

export const quantityPattern = /^[+]?([0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$/

const suffixExponents: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const binarySuffixes = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
// Thousand-millionths ("nano") are the finest step that Kubernetes keeps; counting in them makes every quantity a whole number.
const nanoDigits = 9

/** The quantity in nano-units as a whole number, so that different spellings compare exactly; undefined when it is not a quantity. Finer than nano is rounded up, as Kubernetes does. */
export function quantityInNanos(text: string): bigint | undefined {
  if (!quantityPattern.test(text)) return undefined
  const parts = /^[+]?([0-9]*)\.?([0-9]*)(.*)$/.exec(text)
  if (parts === null) return undefined
  const [, whole = '', fraction = '', suffix = ''] = parts
  const digits = BigInt(`${whole}${fraction}`)
  const binary = binarySuffixes.indexOf(suffix)
  const exponent = binary >= 0 ? 0 : exponentOf(suffix)
  return scaled(binary >= 0 ? digits << BigInt(10 * (binary + 1)) : digits, exponent - fraction.length + nanoDigits)
}

function exponentOf(suffix: string): number {
  if (suffix === '') return 0
  return suffixExponents[suffix] ?? Number(suffix.slice(1))
}

function scaled(value: bigint, exponent: number): bigint {
  if (exponent >= 0) return value * 10n ** BigInt(exponent)
  const divisor = 10n ** BigInt(-exponent)
  return (value + divisor - 1n) / divisor
}

/** Negative, zero or positive like a subtraction; both must be quantities. */
export function compareQuantities(left: string, right: string): -1 | 0 | 1 | undefined {
  const [a, b] = [quantityInNanos(left), quantityInNanos(right)]
  if (a === undefined || b === undefined) return undefined
  return a < b ? -1 : a > b ? 1 : 0
}
