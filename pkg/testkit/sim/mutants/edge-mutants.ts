import type { BusMessage } from '../../../bus/port.js';
import type { RoleName } from '../../../kernel/roles.js';
import { OutageError } from '../../../kernel/errors.js';
import { Broker } from '../broker.js';
import type { Mutant } from './mutant.js';

/** Numbers are taken first and rows seen later; a reader that remembers the last number passes over the slower ones. */
class CursorBySequence extends Broker {
  override store(messages: readonly BusMessage[], roles: readonly RoleName[]): void {
    const places = messages.map(() => this.nextPlace());
    const isSlow = this.world.chance.is(0.3);
    const show = (): void => {
      const places_ = [...places];
      super.store(messages, roles, () => places_.shift() ?? 0);
    };
    if (isSlow) this.world.after(this.world.chance.between(1, 300), 'a slow insert is committed', show);
    else show();
  }

  protected override isPassedOver(place: number, cursor: number): boolean {
    return place <= cursor;
  }
}

const ACCEPTED = Array.from({ length: 20 }, (_, index) => ({ index, status: 'accepted', eventId: 'any' }));

export const edgeMutants: readonly Mutant[] = [
  {
    name: '202 before the bus has it',
    doubles: () => ({
      publisher: (bus) => ({
        publish: async (messages) => {
          bus.publish(messages).catch(() => undefined);
        },
      }),
    }),
  },
  {
    name: '202 although the bus did not say that it has it',
    doubles: () => ({
      publisher: (bus) => ({
        publish: (messages) =>
          bus.publish(messages).catch((error: unknown) => {
            if (!(error instanceof OutageError)) throw error;
          }),
      }),
    }),
  },
  {
    name: 'an idempotency key is completed before the publish',
    doubles: () => ({
      idempotency: (store) => ({
        claim: (scope, key, fingerprint) => store.claim(scope, key, fingerprint),
        complete: (scope, key, token, answer) => store.complete(scope, key, token, answer),
        release: (scope, key, token) =>
          store.complete(scope, key, token, { status: 202, body: JSON.stringify({ results: ACCEPTED }) }),
      }),
    }),
  },
  {
    name: 'a client writes another ts when it tries again',
    doubles: () => ({
      wire: (body, attempt) =>
        attempt === 1
          ? body
          : body.replace(/"ts":(\d+)/g, (_, ts: string) => `"ts":${String(Number(ts) + attempt)}`),
    }),
  },
  {
    name: 'a cursor by sequence number',
    doubles: () => ({ broker: (world, kind) => new CursorBySequence(world, kind) }),
  },
];
