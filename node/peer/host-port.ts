// Addresses as flags and members write them: `host:port`, `[v6]:port`, `:port` (this machine when dialled, every interface when bound).
export interface HostPort {
  /** Empty in `:port`. */
  readonly host: string
  readonly port: number
}

/** Undefined: not such an address. Port 0 is one: the system chooses. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*)):([0-9]{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  return port <= 65_535 ? { host: match[1] ?? match[2] ?? '', port } : undefined
}

export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
