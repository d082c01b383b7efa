/** The same route handlers without Next.js: on Node's own HTTP server. `npm run build && npm start` */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { POST as submit } from "./app/api/videos/route";
import { POST as receive } from "./app/api/webhooks/reelkeep/route";

const routes: Record<string, (request: Request) => Promise<Response>> = {
  "/api/videos": submit,
  "/api/webhooks/reelkeep": receive,
};
const LARGEST_BODY = 1 << 20; // bytes

const server = createServer(async (incoming, outgoing) => {
  const route = incoming.method === "POST" ? routes[incoming.url ?? ""] : undefined;
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > LARGEST_BODY) return void outgoing.writeHead(413, { Connection: "close" }).end();
      chunks.push(chunk);
    }
    if (!route) return void outgoing.writeHead(404).end();
    const headers = new Headers(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
    const url = new URL(incoming.url ?? "", "http://localhost");
    const answer = await route(new Request(url, { method: "POST", headers, body: Buffer.concat(chunks) }));
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
  } catch (error) {
    console.error(error);
    outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(500).end();
  }
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Ready on http://localhost:${(server.address() as AddressInfo).port}`);
});
