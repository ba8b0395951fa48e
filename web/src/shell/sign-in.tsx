import {
  Alert,
  Anchor,
  Button,
  Center,
  Divider,
  Group,
  Paper,
  PasswordInput,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf, OWN_PAGE, session } from '../api/client.ts';
import { isRefusedFor } from '../api/problem.ts';
import { Trouble } from '../parts/data-state.tsx';

/** Name and password, or the issuer that the studio signs in with. */
export function SignIn({ reason }: { readonly reason: string | undefined }) {
  const options = useQuery({
    queryKey: ['sign-in options'],
    queryFn: () => dataOf(api.GET('/admin/v1/auth/options')),
  });
  return (
    <Center mih="100dvh" p="md" component="main">
      <Paper withBorder shadow="sm" p="xl" w="100%" maw={400}>
        <Stack>
          <Group gap="sm">
            <img src="/icon.svg" alt="" width={36} height={36} />
            <Title order={1} size="h3">
              Fairtally
            </Title>
          </Group>
          {reason !== undefined && <Alert color="yellow">{reason}</Alert>}
          {options.data?.oidc && <IssuerButton label={options.data.oidc.label} />}
          {(options.data?.oidc ?? null) !== null && options.data?.local === true && <Divider label="or" />}
          {(options.data?.local ?? true) && <PasswordForm />}
          {options.error !== null && <Trouble error={options.error} onRetry={() => void options.refetch()} />}
        </Stack>
      </Paper>
    </Center>
  );
}

function PasswordForm() {
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const login = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/auth/login', { body: { username, password }, params: { header: OWN_PAGE } }),
      ),
    onSuccess: (signedIn) => session.begin(signedIn),
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    login.mutate();
  };
  const isWrong = isRefusedFor('sign_in_failed', login.error);
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Name"
          autoComplete="username"
          autoFocus
          required
          withAsterisk={false}
          value={username}
          onChange={(event) => setUsername(event.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={isWrong ? 'The name or the password is wrong.' : undefined}
        />
        {login.error !== null && !isWrong && <Trouble error={login.error} />}
        <Button type="submit" loading={login.isPending}>
          Sign in
        </Button>
        <Text size="xs" c="dimmed">
          The first start prints the password of <b>admin</b>, or writes it below <code>data/secrets</code>.
          Lost it?{' '}
          <Anchor component="span" size="xs" underline="never">
            <code>./fairtally admin reset</code>
          </Anchor>{' '}
          sets a new one.
        </Text>
      </Stack>
    </form>
  );
}

function IssuerButton({ label }: { readonly label: string }) {
  const start = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/auth/oidc/start', {
          body: { returnTo: `${window.location.pathname}${window.location.search}` },
          params: { header: OWN_PAGE },
        }),
      ),
    onSuccess: ({ authorizationUrl }) => window.location.assign(authorizationUrl),
  });
  return (
    <>
      <Button onClick={() => start.mutate()} loading={start.isPending} variant="default">
        Sign in with {label}
      </Button>
      {start.error !== null && <Trouble error={start.error} />}
    </>
  );
}
