import { Center, Loader } from '@mantine/core';
import { Suspense, useEffect, type ReactNode } from 'react';
import { Redirect, Route, Switch } from 'wouter';
import { session } from '../api/client.ts';
import { Account } from '../pages/account/account.tsx';
import { Nothing } from '../parts/data-state.tsx';
import { useGame } from './game.ts';
import { Layout } from './layout.tsx';
import { OidcReturn } from './oidc-return.tsx';
import { PLACES } from './places.ts';
import { useMe, useSession } from './session.ts';
import { SignIn } from './sign-in.tsx';

/** The whole page: who is signed in decides what is there. */
export function App() {
  return (
    <Switch>
      <Route path="/signed-in" component={OidcReturn} />
      <Route>
        <NeedsSession>
          <Switch>
            <Route path="/account" component={Account} />
            <Route path="/g/:game/*?">
              <NeedsGame />
            </Route>
            <Route component={FirstGame} />
          </Switch>
        </NeedsSession>
      </Route>
    </Switch>
  );
}

function NeedsSession({ children }: { readonly children: ReactNode }) {
  const state = useSession();
  useEffect(() => {
    if (state.kind === 'unknown') session.resume().catch(() => session.end());
  }, [state.kind]);
  if (state.kind === 'unknown') return <Waiting />;
  if (state.kind === 'nobody') return <SignIn reason={state.reason} />;
  return children;
}

function NeedsGame() {
  const { role, gameId, to } = useGame();
  if (role === null) return <Nothing>There is no game “{gameId}” in which you have a role.</Nothing>;
  return (
    <Layout>
      <Switch>
        {PLACES.map(({ path, View }) => (
          <Route key={path} path={`/g/:game/${path}`}>
            <Suspense fallback={<Waiting />}>
              <View />
            </Suspense>
          </Route>
        ))}
        <Route path="/g/:game">
          <Redirect to={to('overview')} replace />
        </Route>
        <Route>
          <Nothing>There is no such page.</Nothing>
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
