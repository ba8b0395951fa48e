import { Anchor, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { PasswordCard } from '../pages/account/password-card.tsx';
import { Page } from '../parts/page.tsx';
import { useMe } from './session.ts';

/** Whoever gave a first password still knows it: it is changed before anything else; admins of all games are reminded. */
export function FirstPassword({ children }: { readonly children: ReactNode }) {
  const { mustChangePassword, isAdminOfAll } = useMe();
  if (!mustChangePassword) return children;
  if (!isAdminOfAll)
    return (
      <Page
        title="Choose your password"
        about="Whoever gave you the first one still knows it. Everything else waits until you have your own."
      >
        <PasswordCard />
      </Page>
    );
  return (
    <>
      <Text size="sm" mb="sm">
        Your password is still the first one.{' '}
        <Anchor component={Link} href="/account" inherit underline="always">
          Choose your own
        </Anchor>
      </Text>
      {children}
    </>
  );
}
