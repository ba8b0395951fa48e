import { Anchor, type AnchorProps } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';

/** A link to another place of the dashboard. */
export function GoesTo({
  href,
  children,
  ...look
}: AnchorProps & { readonly href: string; readonly children: ReactNode }) {
  return (
    <Anchor
      {...(look.inherit === true ? {} : { size: 'sm' })}
      {...look}
      renderRoot={(props) => <Link {...props} href={href} />}
    >
      {children}
    </Anchor>
  );
}
