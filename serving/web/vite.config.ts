import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` shows the page with hot reload against a service started by `askance up`.
const service = "http://127.0.0.1:8000";

// That know light-dark(): of 2024. Rewritten for older ones, what stands on the canvas would not be dark in the light.
const CSS = ["chrome123", "firefox120", "safari17.5"];

export default defineConfig({
  plugins: [react()],
  // No inlined data: URLs and no inline preload script: the page runs under default-src 'self'.
  build: { outDir: "dist", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 800, cssTarget: CSS },
  server: { proxy: { "/v1": service } },
  test: { include: ["src/**/*.test.ts"], environment: "node", css: true },
});
