// What works, but weaker than it should be: said once, loudly, at start.
import { formatHostPort } from '../host-port.ts'
import type { ConfigurationWarning, NodeConfiguration } from '../node-configuration.ts'
import type { NodeFlagValues } from './node-flag-values.ts'

type Warning = readonly [holds: boolean, code: ConfigurationWarning['code'], message: string]

/** In a fixed order, the worst first. */
export function configurationWarnings(configuration: NodeConfiguration, flags: NodeFlagValues): readonly ConfigurationWarning[] {
  return [...joinWarnings(configuration), ...httpWarnings(configuration), ...raftWarnings(configuration, flags)]
    .filter(([holds]) => holds)
    .map(([, code, message]) => ({ code, message }))
}

function joinWarnings({ join, http }: NodeConfiguration): readonly Warning[] {
  const apis = join.targets.filter((target) => target.kind === 'api')
  return [
    [
      apis.some((target) => target.credentials !== undefined),
      'password_in_arguments',
      'A PASSWORD STANDS IN THE ARGUMENTS (-join): everybody on this machine can read it in the process table. Use -join-as, and change that password.',
    ],
    [
      apis.some((target) => target.url.startsWith('http:')),
      'join_over_plain_http',
      'An API of -join is asked without TLS: whoever answers may send this node anywhere.',
    ],
    [
      apis.length > 0 && !http.verifyServers,
      'join_without_verification',
      'The certificate of the API asked by -join is not verified (-http-no-verify): whoever answers may send this node anywhere.',
    ],
  ]
}

function httpWarnings({ http, accessFile }: NodeConfiguration): readonly Warning[] {
  const plain = http.tls === undefined
  return [
    [
      plain && accessFile !== undefined,
      'passwords_without_tls',
      'THE API HAS NO TLS: passwords and data cross the network in the clear. Set -http-cert and -http-key.',
    ],
    [
      plain && accessFile === undefined,
      'api_without_tls',
      'THE API HAS NO TLS: data crosses the network in the clear. Set -http-cert and -http-key.',
    ],
    [
      accessFile === undefined && !(http.tls?.verifyClient ?? false),
      'access_for_everybody',
      'NO USERS: whoever reaches the API may do everything. Set -auth.',
    ],
  ]
}

function raftWarnings({ raft, http }: NodeConfiguration, flags: NodeFlagValues): readonly Warning[] {
  const { tls } = raft
  return [
    [
      tls === undefined,
      'raft_without_tls',
      'THE RAFT PORT HAS NO TLS: whoever reaches it can pretend to be a member. Set -node-cert, -node-key, -node-ca-cert and -node-verify-client.',
    ],
    [
      tls?.verify === false,
      'raft_without_verification',
      'Certificates between nodes are not verified (-node-no-verify): traffic is encrypted, but to whom is not known.',
    ],
    [
      tls?.verify === true && !tls.verifyClient,
      'raft_without_client_certificates',
      'The Raft port asks callers for no certificate. Set -node-verify-client and -node-ca-cert.',
    ],
    [
      flags['node-encrypt'],
      'node_encrypt_is_old',
      '-node-encrypt is an old word: -node-cert and -node-key alone turn encryption on. Leave it out.',
    ],
    [
      flags['raft-adv-addr'] === undefined && raft.listen.host === '',
      'advertised_on_localhost',
      `-raft-addr names no host: this node is known as ${formatHostPort(raft.advertised)}, which only nodes on this machine can reach. Set -raft-adv-addr.`,
    ],
    [
      flags['http-adv-addr'] === undefined && http.listen.host === '',
      'advertised_on_localhost',
      `-http-addr names no host: this node's API is known as ${http.advertisedUrl}, which only this machine can reach. Set -http-adv-addr.`,
    ],
  ]
}
