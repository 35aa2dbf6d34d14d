// `host:port` as Go's net package splits it: `localhost:4001`, `:4004` (every interface), `[::1]:4001`.
import { fail, ok } from '../runtime/result.ts'
import type { Result } from '../runtime/result.ts'

export interface HostPort {
  /** Without brackets. Empty when the text had none: as a listening address that is every interface. */
  readonly host: string
  /** 0: any free port (tests). */
  readonly port: number
}

export interface HostPortProblem {
  readonly code: 'not_host_port'
  readonly message: string
}

const hostPort = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^[\]:\s,/@]*)):(\d{1,5})$/

export function parseHostPort(text: string): Result<HostPort, HostPortProblem> {
  const match = hostPort.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    return fail({ code: 'not_host_port', message: 'write host:port with a port from 0 to 65535 (an IPv6 address in brackets)' })
  }
  return ok({ host: match[1] ?? match[2] ?? '', port })
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** 0.0.0.0 and ::, in any spelling: good to listen on, useless to tell others. An empty host counts too. */
export function isUnspecified({ host }: HostPort): boolean {
  return host === '' || host === '0.0.0.0' || /^[0:]+$/.test(host)
}
