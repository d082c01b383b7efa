import type { NextConfig } from "next";

const config: NextConfig = {
  distDir: "build/next",
  // tsconfig.json is for running the handlers in plain Node.
  typescript: { tsconfigPath: "tsconfig.next.json" },
  outputFileTracingRoot: __dirname,
};

export default config;
