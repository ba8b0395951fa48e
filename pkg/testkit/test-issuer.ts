import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';

/** An OpenID Connect issuer on this machine, with one key. */
export interface TestIssuer {
  readonly url: string;
  readonly audience: string;
  /** Answers 503 to everybody. */
  isDown: boolean;
  /** How often its keys were asked for. */
  readonly keysAsked: number;
  /** Signed by its key, whatever the header says. */
  token(header?: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
}

const KID = 'of-the-issuer';
const AUDIENCE = 'dashboard';

export async function startTestIssuer(): Promise<TestIssuer> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: KID, alg: 'EdDSA' };
  let keysAsked = 0;
  const server = createServer(({ url: path }, response) => {
    if (path === '/keys') keysAsked += 1;
    if (issuer.isDown) return void response.writeHead(503).end();
    const places = {
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/keys`,
    };
    const body = path === '/keys' ? { keys: [jwk] } : { issuer: url, ...places };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const issuer: TestIssuer = {
    url,
    audience: AUDIENCE,
    isDown: false,
    get keysAsked() {
      return keysAsked;
    },
    token: (header = {}) =>
      new SignJWT({ preferred_username: 'guest' })
        .setProtectedHeader({ alg: 'EdDSA', kid: KID, ...header })
        .setIssuer(url)
        .setAudience(AUDIENCE)
        .setSubject('guest')
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;
}
