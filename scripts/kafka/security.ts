/**
 * Users, certificates and rights of a cluster for tests.
 *
 * Users: `admin` and `app` may do everything, `limited` only what ACLs grant it. Whoever comes without a name (PLAINTEXT on the
 * loopback address, TLS without a certificate) may do everything too, so that a test can look at a cluster with plain tools.
 *
 * Invariant: the secrets below guard nothing but folders and loopback ports of a test.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const USERS = {
  admin: 'admin-secret',
  app: 'app-secret',
  limited: 'limited-secret',
} as const
export type User = keyof typeof USERS

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const MODULES = 'org.apache.kafka.common.security'

export function securitySettings(
  { sasl, tls }: { readonly sasl: boolean; readonly tls: boolean },
  folder: string,
): Record<string, string> {
  if (!sasl && !tls) return {}
  const settings: Record<string, string> = {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS;User:admin;User:app',
    'allow.everyone.if.no.acl.found': 'false',
  }
  if (sasl) {
    settings['sasl.enabled.mechanisms'] = MECHANISMS.join(',')
    const users = Object.entries(USERS).map(([name, secret]) => `user_${name}="${secret}"`)
    for (const listener of tls ? ['sasl', 'sasl_tls'] : ['sasl']) {
      const jaas = (mechanism: string): string =>
        `listener.name.${listener}.${mechanism.toLowerCase()}.sasl.jaas.config`
      settings[jaas('PLAIN')] = `${MODULES}.plain.PlainLoginModule required ${users.join(' ')};`
      for (const scram of ['SCRAM-SHA-256', 'SCRAM-SHA-512'])
        settings[jaas(scram)] = `${MODULES}.scram.ScramLoginModule required;`
    }
  }
  if (tls) {
    settings['ssl.keystore.type'] = 'PEM'
    settings['ssl.keystore.location'] = join(folder, 'broker.pem')
    settings['ssl.truststore.type'] = 'PEM'
    settings['ssl.truststore.location'] = join(folder, 'ca.crt')
    settings['ssl.principal.mapping.rules'] = 'RULE:^CN=([^,]+).*$/$1/,DEFAULT'
    settings['listener.name.mtls.ssl.client.auth'] = 'required'
  }
  return settings
}

/** What `StorageTool format` takes to create the SCRAM users. */
export function scramArguments(): string[] {
  return Object.entries(USERS).flatMap(([name, secret]) =>
    MECHANISMS.slice(1).flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${secret}]`,
    ]),
  )
}

/** What Kafka's own clients need to come as `user` on the listener with passwords. */
export function saslClientSettings(
  user: User,
  mechanism: (typeof MECHANISMS)[number],
  password: string = USERS[user],
): Record<string, string> {
  const module = mechanism === 'PLAIN' ? 'plain.PlainLoginModule' : 'scram.ScramLoginModule'
  const login = `username="${user}" password="${password}"`
  return {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': mechanism,
    'sasl.jaas.config': `${MODULES}.${module} required ${login};`,
  }
}

/** What they need to come as `user` by a client certificate. */
export async function mutualTlsClientSettings(
  certificates: Certificates,
  user: 'app' | 'limited',
): Promise<Record<string, string>> {
  const pem = async (path: string): Promise<string> =>
    (await Bun.file(path).text()).trim().replaceAll('\n', '\\n')
  const { cert, key } = certificates[user]
  return {
    'security.protocol': 'SSL',
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.certificates': await pem(certificates.ca),
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': await pem(cert),
    'ssl.keystore.key': await pem(key),
  }
}

/** Paths of PEM files: a client trusts `ca`; `other*` belong to an authority that no broker knows. */
export interface Certificates {
  readonly ca: string
  readonly app: { readonly cert: string; readonly key: string }
  readonly limited: { readonly cert: string; readonly key: string }
  readonly otherCa: string
  readonly other: { readonly cert: string; readonly key: string }
}

export function certificatesIn(folder: string): Certificates {
  const pair = (name: string): { cert: string; key: string } => ({
    cert: join(folder, `${name}.crt`),
    key: join(folder, `${name}.key`),
  })
  return {
    ca: join(folder, 'ca.crt'),
    app: pair('app'),
    limited: pair('limited'),
    otherCa: join(folder, 'other-ca.crt'),
    other: pair('other'),
  }
}

export async function makeCertificates(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await Promise.all([makeAuthority(folder, 'ca'), makeAuthority(folder, 'other-ca')])
  await Promise.all([
    makeCertificate(folder, 'broker', 'ca'),
    makeCertificate(folder, 'app', 'ca'),
    makeCertificate(folder, 'limited', 'ca'),
    makeCertificate(folder, 'other', 'other-ca'),
  ])
  const read = (name: string): Promise<string> => Bun.file(join(folder, name)).text()
  // Kafka's PEM key store: private key, then the chain, in one file.
  await writeFile(
    join(folder, 'broker.pem'),
    (await read('broker.key')) + (await read('broker.crt')) + (await read('ca.crt')),
    { mode: 0o600 },
  )
}

async function makeAuthority(folder: string, name: string): Promise<void> {
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign,cRLSign']
  await request(folder, name, `millrace test ${name}`, extensions, [])
}

async function makeCertificate(folder: string, name: string, authority: string): Promise<void> {
  const extensions = [
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    'basicConstraints=critical,CA:FALSE',
  ]
  const signer = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`]
  await request(folder, name, name, extensions, signer)
}

async function request(
  folder: string,
  name: string,
  subject: string,
  extensions: readonly string[],
  signer: readonly string[],
): Promise<void> {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`]
  const added = extensions.flatMap((extension) => ['-addext', extension])
  const args = [...key, '-days', '3650', '-subj', `/CN=${subject}`, ...files, ...added, ...signer]
  await openssl(folder, ['req', '-x509', ...args])
}

async function openssl(folder: string, args: readonly string[]): Promise<void> {
  const child = Bun.spawn(['openssl', ...args], { cwd: folder, stdout: 'pipe', stderr: 'pipe' })
  const errors = await child.stderr.text()
  if ((await child.exited) !== 0) throw new Error(`openssl ${args[0]} failed: ${errors.trim()}`)
}
