import kafkajs from 'kafkajs';
import type { Admin } from 'kafkajs';
import { FairtallyError } from '../kernel/errors.js';
import type { RoleName } from '../kernel/roles.js';
import { groupOf } from './kafka-lag.js';
import type { Rewound } from './operator.js';

export interface RewindWish {
  /** UTC ms */
  readonly toMs: number;
  readonly nowMs: number;
  readonly roles: readonly RoleName[];
}

/**
 * Moves the groups' offsets back to the first messages that were published at an instant or later. What a group has not
 * read yet is never passed over.
 *
 * @throws FairtallyError `roles_running`, `not_kept`
 */
export async function rewindRoles(admin: Admin, topic: string, wish: RewindWish): Promise<Rewound[]> {
  await refuseRunning(admin, topic, wish.roles);
  await refuseForgotten(admin, topic, wish);
  const since = await admin.fetchTopicOffsetsByTimestamp(topic, wish.toMs);
  const rewound: Rewound[] = [];
  for (const role of wish.roles) {
    const groupId = groupOf(topic, role);
    const groups = await admin.fetchOffsets({ groupId, topics: [topic] });
    const committed = new Map(
      groups.flatMap(({ partitions }) => partitions).map((one) => [one.partition, one.offset]),
    );
    const back = since.flatMap(({ partition, offset }) => {
      const again = BigInt(committed.get(partition) ?? -1) - BigInt(offset);
      return again > 0n ? [{ partition, offset, again }] : [];
    });
    const partitions = back.map(({ partition, offset }) => ({ partition, offset }));
    if (partitions.length > 0) await admin.setOffsets({ groupId, topic, partitions });
    const messages = Number(back.reduce((sum, { again }) => sum + again, 0n));
    rewound.push({ role, moved: back.length, messages });
  }
  return rewound;
}

async function refuseRunning(admin: Admin, topic: string, roles: readonly RoleName[]): Promise<void> {
  const { groups } = await admin.describeGroups(roles.map((role) => groupOf(topic, role)));
  const running = groups.filter(({ members }) => members.length > 0).map(({ groupId }) => groupId);
  if (running.length === 0) return;
  throw new FairtallyError('roles_running', `workers are joined to ${running.join(', ')}: stop them first`);
}

async function refuseForgotten(admin: Admin, topic: string, { toMs, nowMs }: RewindWish): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }],
  });
  const keptMs = Number(resources[0]?.configEntries[0]?.configValue ?? -1); // -1: for good
  if (keptMs < 0 || toMs >= nowMs - keptMs) return;
  throw new FairtallyError(
    'not_kept',
    `the topic keeps what is younger than ${new Date(nowMs - keptMs).toISOString()}`,
  );
}
