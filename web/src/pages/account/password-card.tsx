import { Button, Card, PasswordInput, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE, session } from '../../api/client.ts';
import { ApiError } from '../../api/problem.ts';
import { Trouble } from '../../parts/data-state.tsx';

const LENGTH_MIN = 12;

/** Changes the viewer's own password. */
export function PasswordCard() {
  const [oldPassword, setOld] = useState('');
  const [newPassword, setNew] = useState('');
  const change = useMutation({
    mutationFn: () =>
      dataOf(
        api.PUT('/admin/v1/auth/password', {
          params: { header: OWN_PAGE },
          body: { oldPassword, newPassword },
        }),
      ),
    onSuccess: () => {
      setOld('');
      setNew('');
      // Who the viewer is says whether the password is still the first one.
      void session.renew().catch(() => undefined);
    },
  });
  const wrong = change.error instanceof ApiError ? change.error.problem.pointer : undefined;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <Card withBorder component="form" onSubmit={submit}>
      <Stack maw={360}>
        <Text fw={600}>Password</Text>
        <PasswordInput
          label="Old password"
          autoComplete="current-password"
          required
          error={wrong === '/oldPassword' ? 'This is not your password.' : undefined}
          value={oldPassword}
          onChange={(event) => setOld(event.currentTarget.value)}
        />
        <PasswordInput
          label="New password"
          description="At least 12 characters"
          autoComplete="new-password"
          required
          minLength={LENGTH_MIN}
          error={wrong === '/newPassword' ? 'At least 12 characters, and not the old one.' : undefined}
          value={newPassword}
          onChange={(event) => setNew(event.currentTarget.value)}
        />
        {change.error !== null && wrong === undefined && <Trouble error={change.error} />}
        {change.isSuccess && (
          <Text role="status" c="green" size="sm">
            Changed. Your other sessions have ended.
          </Text>
        )}
        <Button type="submit" loading={change.isPending}>
          Change the password
        </Button>
      </Stack>
    </Card>
  );
}
