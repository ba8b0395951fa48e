import { Alert, Button, Group, Stack, Text, Textarea } from '@mantine/core';
import { IconShieldCheck, IconShieldX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Facts } from '../../parts/facts.tsx';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, PlayerName } from '../../parts/player-name.tsx';
import { useGame } from '../../shell/game.ts';
import { keyOf } from './key-of.ts';

type Verdict = Schema<'ReceiptVerdict'>;

const WHY_NOT: Record<NonNullable<Verdict['code']>, string> = {
  malformed: 'This is no receipt: it is not three parts of base64url with dots between.',
  wrong_header: 'Its header asks for another way of signing than ours. We did not sign it.',
  unknown_key: 'It names a key that is not ours. We did not sign it.',
  bad_signature: 'The signature does not fit the text: it was changed, or somebody else signed it.',
  wrong_claims: 'It is not a receipt of this game.',
  revoked: 'We signed it, and it was revoked since.',
};

/** Whether a receipt that somebody shows is one of ours and holds. */
export function VerifyReceipt() {
  const { gameId } = useGame();
  const [text, setText] = useState('');
  const verify = useMutation({
    mutationFn: async (jws: string) => ({
      jws,
      verdict: await dataOf(
        api.POST('/admin/v1/games/{gameId}/receipts/verify', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: { jws },
        }),
      ),
    }),
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    verify.mutate(text.replaceAll(/\s/g, ''));
  };
  return (
    <Panel title="Check a receipt" about="Paste what a player shows; it is not kept.">
      <form onSubmit={submit}>
        <Stack>
          <Textarea
            aria-label="Receipt"
            placeholder="eyJhbGciOi…"
            required
            maxLength={4096}
            autosize
            minRows={3}
            maxRows={8}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          <Group>
            <Button type="submit" variant="default" loading={verify.isPending}>
              Check it
            </Button>
          </Group>
        </Stack>
      </form>
      {verify.error !== null && <Trouble error={verify.error} />}
      {verify.data !== undefined && <Told {...verify.data} />}
    </Panel>
  );
}

function Told({ jws, verdict }: { readonly jws: string; readonly verdict: Verdict }) {
  const { to } = useGame();
  const { valid, code, claims } = verdict;
  return (
    <Alert
      role="status"
      color={valid ? 'green' : 'red'}
      icon={valid ? <IconShieldCheck aria-hidden /> : <IconShieldX aria-hidden />}
      title={valid ? 'It holds: signed by us, not revoked' : 'It does not hold'}
    >
      <Stack gap="sm">
        {code !== null && <Text size="sm">{WHY_NOT[code]}</Text>}
        {claims !== null && (
          <Facts
            facts={[
              ['Signed by', <Name>{claims.iss}</Name>],
              ['With key', <Name>{keyOf(jws) ?? '—'}</Name>],
              ['Revoked', verdict.revoked === true ? 'yes' : 'no'],
              [
                'Grants',
                <>
                  {count(claims.amount)} <Name>{claims.reward}</Name>
                </>,
              ],
              ['To', <PlayerName id={claims.sub} />],
              ['For', <Name>{claims.cause}</Name>],
              ['At', <Moment at={claims.iat * 1000} />],
              ['Receipt', <GoesTo href={to('receipts', claims.jti)}>{claims.jti}</GoesTo>],
            ]}
          />
        )}
      </Stack>
    </Alert>
  );
}
