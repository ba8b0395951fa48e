import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The word the server replaces, in the page it sends, by the nonce of that answer's Content-Security-Policy. */
const NONCE = '__CSP_NONCE__';

// eslint-disable-next-line no-restricted-exports -- what Vite looks for
export default defineConfig({
  plugins: [react()],
  html: { cspNonce: NONCE },
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    target: 'es2023',
    sourcemap: false,
    chunkSizeWarningLimit: 700,
  },
  // `npm run dev -w web` beside `make run`: the page from Vite, the data from the admin service.
  server: { proxy: { '/admin': 'http://127.0.0.1:8090' } },
});
