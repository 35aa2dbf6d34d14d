// What a person needs to try the cluster by hand: the CA and a curl configuration for each user, as files that only they can read (a password in a command line is in
// everybody's `ps`), and the commands.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DemoWorld, UserSecret } from './demo-world.ts'

const fileMode = 0o600

/** Writes the files below `folder` and gives the text to show. */
export async function writeHandout(world: DemoWorld, folder: string): Promise<string> {
  const hand = join(folder, 'by-hand')
  await mkdir(hand, { mode: 0o700 })
  const ca = join(hand, 'ca.crt')
  await writeFile(ca, await world.caPem(), { mode: fileMode })
  const { app, reporting } = world.names
  const files = new Map<UserSecret, string>()
  for (const user of [app, reporting]) {
    const { name, password } = await world.user(user)
    const file = join(hand, `${name}.curl`)
    files.set(user, file)
    await writeFile(file, `cacert = "${ca}"\nuser = "${name}:${curlQuoted(password)}"\n`, { mode: fileMode })
    await writeFile(join(hand, `${name}.password`), password, { mode: fileMode })
  }
  const members = await world.members()
  const urls = members.map(({ host, port }) => `https://${host}:${port}`)
  const [first = '', second = first] = urls
  const [member] = members
  const byName =
    member === undefined ? '' : `--connect-to ${member.dnsName}:4001:${member.host}:${member.port} https://${member.dnsName}:4001`
  const raft = member === undefined ? undefined : await world.raftEndpoint(member.name)
  return [
    'Try it by hand:',
    '',
    `  curl --config ${files.get(app)} '${first}/db/execute' -H 'content-type: application/json' -d '[["INSERT INTO orders(item) VALUES(?)", "by hand"]]'`,
    `  curl --config ${files.get(app)} -G '${second}/db/query?pretty&level=linearizable' --data-urlencode 'q=SELECT * FROM orders ORDER BY id DESC LIMIT 5'`,
    `  curl --config ${files.get(app)} ${byName}/readyz      # by its name in a cluster`,
    `  curl --config ${files.get(reporting)} -i '${first}/db/execute' -d '["DELETE FROM orders"]'      # 401`,
    `  openssl s_client -connect ${raft?.host}:${raft?.port} </dev/null      # refused: no certificate`,
    '',
    `  nodes        ${members.map(({ name }, at) => `${name} ${urls[at]}`).join('   ')}`,
    `  CA           ${ca}`,
    `  passwords    ${[app, reporting].map(({ user }) => join(hand, `${user}.password`)).join(' and ')}`,
    `  logs         ${join(folder, 'logs')}`,
  ].join('\n')
}

/** Within double quotes curl's configuration files know a backslash before these. */
function curlQuoted(text: string): string {
  return text.replaceAll(/["\\]/g, String.raw`\$&`)
}
