import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import './shell/page.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/problem.ts';
import { Notices } from './parts/notices.tsx';
import { App } from './shell/app.tsx';
import { theme } from './shell/theme.ts';
import { refuseMarkup } from './shell/trusted-types.ts';

refuseMarkup(window as Parameters<typeof refuseMarkup>[0]);

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
// What locks the page behind a dialog makes a style element of its own, and looks for its nonce here.
Object.assign(window, { __webpack_nonce__: nonce });
const MAX_RETRIES = 2;

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) =>
        failures < MAX_RETRIES &&
        (!(error instanceof ApiError) || error.status === 0 || error.problem.retryable === true),
    },
    mutations: { retry: false },
  },
});

const root = document.getElementById('root');
if (root === null) throw new Error('The page has no #root.');
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <Notices />
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
