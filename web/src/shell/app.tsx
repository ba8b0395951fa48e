import { Center, Loader } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Suspense, type ReactNode } from 'react';
import { Redirect, Route, Switch } from 'wouter';
import { session } from '../api/client.ts';
import { Account } from '../pages/account/account.tsx';
import { Nothing, Trouble } from '../parts/data-state.tsx';
import { GoesTo } from '../parts/goes-to.tsx';
import { Page } from '../parts/page.tsx';
import { useGame } from './game.ts';
import { Layout } from './layout.tsx';
import { OidcReturn } from './oidc-return.tsx';
import { PLACES } from './places.ts';
import { useMe, useSession } from './session.ts';
import { SignIn } from './sign-in.tsx';

const ASK_AGAIN_MS = 3_000;

// The router's own `*` ends at a line break, which the name of a player may have.
const ANY = /^[^]*$/;
const OF_A_GAME = /^\/g\/(?<game>[^/]+)(?:\/[^]*)?$/i;

/** The whole page: who is signed in decides what is there. */
export function App() {
  return (
    <Switch>
      <Route path="/signed-in" component={OidcReturn} />
      <Route path={ANY}>
        <NeedsSession>
          <Switch>
            <Route path="/account" component={Account} />
            <Route path={OF_A_GAME}>
              <NeedsGame />
            </Route>
            <Route path={ANY} component={FirstGame} />
          </Switch>
        </NeedsSession>
      </Route>
    </Switch>
  );
}

function NeedsSession({ children }: { readonly children: ReactNode }) {
  const state = useSession();
  // Only a refusal ends a session: a service that is away, or too busy to say, is asked again.
  const { failureReason, refetch } = useQuery({
    queryKey: ['session'],
    queryFn: async () => {
      await session.resume();
      return null;
    },
    enabled: state.kind === 'unknown',
    retry: true,
    retryDelay: ASK_AGAIN_MS,
  });
  if (state.kind === 'unknown')
    return failureReason === null ? (
      <Waiting />
    ) : (
      <Center mih="60dvh" p="md">
        <Trouble error={failureReason} onRetry={() => void refetch()} />
      </Center>
    );
  if (state.kind === 'nobody') return <SignIn reason={state.reason} />;
  return children;
}

function NeedsGame() {
  const { role, gameId, to, may } = useGame();
  if (role === null) return <Nothing>There is no game “{gameId}” in which you have a role.</Nothing>;
  return (
    <Layout>
      <Switch>
        {PLACES.map(({ path, label, needs, View }) => (
          <Route key={path} path={`/g/:game/${path}`}>
            {may(needs) ? (
              <Suspense fallback={<Waiting />}>
                <View />
              </Suspense>
            ) : (
              <Page title={label}>
                <Nothing>
                  Your role in this game is {role}. This page needs the role {needs}, which an admin of the
                  game can give.
                </Nothing>
              </Page>
            )}
          </Route>
        ))}
        <Route path="/g/:game">
          <Redirect to={to('overview')} replace />
        </Route>
        <Route path={ANY}>
          <Page title="No such page">
            <Nothing>
              Nothing is at this address. <GoesTo href={to('overview')}>Go to the overview</GoesTo>
            </Nothing>
          </Page>
        </Route>
      </Switch>
    </Layout>
  );
}

function FirstGame() {
  const first = useMe().memberships[0];
  if (first === undefined)
    return <Nothing>You have no role in any game yet. An admin of a game can give you one.</Nothing>;
  return <Redirect to={`/g/${encodeURIComponent(first.gameId)}/overview`} replace />;
}

const Waiting = () => (
  <Center mih="60dvh">
    <Loader role="status" aria-label="Loading" />
  </Center>
);
