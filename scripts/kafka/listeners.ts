/**
 * The listeners of a broker, and what each needs.
 *
 * Invariant: a listener's name is its name in `server.properties`; PLAINTEXT and CONTROLLER are always there.
 */
interface ListenerKind {
  readonly protocol: 'PLAINTEXT' | 'SASL_PLAINTEXT' | 'SSL' | 'SASL_SSL'
  readonly sasl: boolean
  readonly tls: boolean
  readonly proxied?: boolean
}

const LISTENERS = ['PLAINTEXT', 'CONTROLLER', 'PROXIED', 'SASL', 'TLS', 'MTLS', 'SASL_TLS'] as const
export type Listener = (typeof LISTENERS)[number]

export const LISTENER_KINDS: Readonly<Record<Listener, ListenerKind>> = {
  PLAINTEXT: { protocol: 'PLAINTEXT', sasl: false, tls: false },
  CONTROLLER: { protocol: 'PLAINTEXT', sasl: false, tls: false },
  /** Where a proxy comes; whoever comes here is sent to the proxy's port from then on. */
  PROXIED: { protocol: 'PLAINTEXT', sasl: false, tls: false, proxied: true },
  SASL: { protocol: 'SASL_PLAINTEXT', sasl: true, tls: false },
  TLS: { protocol: 'SSL', sasl: false, tls: true },
  /** Asks for a client certificate. */
  MTLS: { protocol: 'SSL', sasl: false, tls: true },
  SASL_TLS: { protocol: 'SASL_SSL', sasl: true, tls: true },
}

export function listenersOf(security: {
  readonly sasl: boolean
  readonly tls: boolean
  readonly proxied?: boolean
}): Listener[] {
  return LISTENERS.filter((name) => {
    const { sasl, tls, proxied = false } = LISTENER_KINDS[name]
    const isAsked = (!sasl || security.sasl) && (!tls || security.tls)
    return isAsked && (!proxied || security.proxied === true)
  })
}
