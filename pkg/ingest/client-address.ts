import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * Whose X-Forwarded-For is believed: nobody's, that of the last `hops` proxies, or that of proxies in these networks
 * (addresses or CIDRs). The same shape as the value of TRUST_PROXY.
 */
export type TrustedProxies =
  | { readonly kind: 'none' }
  | { readonly kind: 'hops'; readonly hops: number }
  | { readonly kind: 'networks'; readonly networks: readonly string[] };

export type ClientAddress = (request: IncomingMessage) => string;

/** More entries than any chain of proxies writes; a longer header is a client's own and is cut from its left. */
const FORWARDED_MAX = 64;

/**
 * The one reader of a client's address, for the listener and for Express. Goes through the chain from the socket to the left
 * and stops at the first address that is not a trusted proxy: whatever a client writes itself stands left of that.
 */
export function createClientAddress(trust: TrustedProxies): ClientAddress {
  if (trust.kind === 'none') return socketAddress;
  const isTrusted = trust.kind === 'hops' ? trustHops(trust.hops) : trustNetworks(trust.networks);
  return (request) => {
    let address = socketAddress(request);
    const forwarded = forwardedFor(request);
    for (let hop = 0; hop < forwarded.length && isTrusted(address, hop); hop += 1) {
      const next = forwarded[forwarded.length - 1 - hop] ?? '';
      if (isIP(next) === 0) break; // junk from beyond a trusted proxy: the proxy itself answers for it
      address = plain(next);
    }
    return address;
  };
}

type IsTrusted = (address: string, hop: number) => boolean;

const trustHops =
  (hops: number): IsTrusted =>
  (_address, hop) =>
    hop < hops;

function trustNetworks(networks: readonly string[]): IsTrusted {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

const socketAddress: ClientAddress = (request) => plain(request.socket.remoteAddress ?? '');

/** An IPv4 client of a dual-stack socket is written as one. */
const plain = (address: string): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;

/** All X-Forwarded-For lines in the order received. */
function forwardedFor(request: IncomingMessage): readonly string[] {
  const header = request.headers['x-forwarded-for'];
  if (header === undefined) return [];
  const text = typeof header === 'string' ? header : header.join(',');
  return text
    .split(',')
    .slice(-FORWARDED_MAX)
    .map((entry) => entry.trim());
}

/** What an address budget is kept under: the address, or the /64 of an IPv6 one, which a single customer owns whole. */
export function budgetKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined
      ? left
      : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const network = groups.slice(0, 4).map((group) => (parseInt(group, 16) || 0).toString(16));
  return `${network.join(':')}::/64`;
}
