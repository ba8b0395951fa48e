import {
  ActionIcon,
  AppShell,
  Badge,
  Burger,
  Button,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconLogout, IconMoon, IconSun, IconUserCircle } from '@tabler/icons-react';
import { lazy, Suspense, useEffect, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { api, dataOf, OWN_PAGE, session } from '../api/client.ts';
import { FirstPassword } from './first-password.tsx';
import { useGame } from './game.ts';
import { PLACE_GROUPS, PLACES } from './places.ts';
import { useMe } from './session.ts';

/** What stands around every page of a game: the mark, the game, the menu, the viewer. */
export function Layout({ children }: { readonly children: ReactNode }) {
  const [isOpen, { toggle, close }] = useDisclosure(false);
  const [pathname] = useLocation();
  useEffect(() => {
    close();
    // Of a page that goes on at another address; a new one does so itself.
    document.getElementById('page-title')?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [pathname, close]);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !isOpen } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className="skip-link" href="#main">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <img src="/icon.svg" alt="" width={26} height={26} />
            <Text fw={700} visibleFrom="xs">
              Fairtally
            </Text>
            <GameName />
          </Group>
          <Group gap="xs" wrap="nowrap">
            <SchemeSwitch />
            <Viewer />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Pages">
        <AppShell.Section grow component={ScrollArea} type="never" p="xs">
          <Places />
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="main">
        <FirstPassword>{children}</FirstPassword>
      </AppShell.Main>
    </AppShell>
  );
}

function Places() {
  const { to, may } = useGame();
  const [pathname] = useLocation();
  return PLACE_GROUPS.map((group) => {
    const places = PLACES.filter((place) => place.group === group && may(place.needs));
    if (places.length === 0) return null;
    return (
      <div key={group} role="group" aria-label={group}>
        <Text size="xs" fw={600} c="dimmed" px="sm" pt="sm" pb={4}>
          {group}
        </Text>
        {places.map(({ link, label, icon: Icon }) => {
          const isHere = pathname.startsWith(to(link));
          return (
            <NavLink
              key={link}
              component={Link}
              href={to(link)}
              label={label}
              leftSection={<Icon size={18} stroke={1.7} aria-hidden />}
              active={isHere}
              aria-current={isHere ? 'page' : undefined}
            />
          );
        })}
      </div>
    );
  });
}

// Most have one game: what chooses among several is not in the first page.
const GameSelect = lazy(async () => ({ default: (await import('./game-select.tsx')).GameSelect }));

function GameName() {
  const { memberships } = useMe();
  const { gameId } = useGame();
  const name = <Badge variant="light">{gameId}</Badge>;
  if (memberships.length < 2) return name;
  return (
    <Suspense fallback={name}>
      <GameSelect />
    </Suspense>
  );
}

function SchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme('light') === 'dark';
  const label = isDark ? 'Light colours' : 'Dark colours';
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={label}
        onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
      >
        {isDark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

function Viewer() {
  const me = useMe();
  const { role } = useGame();
  const signOut = async () => {
    await dataOf(api.POST('/admin/v1/auth/logout', { params: { header: OWN_PAGE } })).catch(() => undefined);
    session.end();
  };
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <Button
          variant="subtle"
          color="gray"
          size="compact-md"
          px={6}
          aria-label={me.username}
          title={me.username}
          leftSection={<IconUserCircle size={18} aria-hidden />}
          styles={{ section: { marginInlineEnd: 0 } }}
        >
          {/* On a telephone the icon stands for it: the menu says the name. */}
          <Text component="span" inherit truncate visibleFrom="xs" maw={200} ms={6}>
            {me.username}
          </Text>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label style={{ overflowWrap: 'anywhere' }}>
          {me.username}: {role ?? 'no role'} in this game
        </Menu.Label>
        <Menu.Item component={Link} href="/account" leftSection={<IconUserCircle size={16} aria-hidden />}>
          Account and sessions
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => void signOut()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
