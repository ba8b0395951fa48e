import { Center, Loader } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { api, dataOf, OWN_PAGE, session } from '../api/client.ts';

/** Where the issuer sends the browser back to, with a code that is exchanged for a session once. */
export function OidcReturn() {
  const [parameters] = useSearchParams();
  const [, navigate] = useLocation();
  const isAsked = useRef(false);
  useEffect(() => {
    if (isAsked.current) return;
    isAsked.current = true;
    const code = parameters.get('code') ?? '';
    const state = parameters.get('state') ?? '';
    void dataOf(
      api.POST('/admin/v1/auth/oidc/exchange', { body: { code, state }, params: { header: OWN_PAGE } }),
    ).then(
      (signedIn) => {
        session.begin(signedIn);
        navigate(signedIn.returnTo ?? '/', { replace: true });
      },
      (error: unknown) => {
        session.end(error instanceof Error ? error.message : 'Signing in failed.');
        navigate('/', { replace: true });
      },
    );
  }, [navigate, parameters]);
  return (
    <Center mih="100dvh">
      <Loader role="status" aria-label="Signing in" />
    </Center>
  );
}
