/** The same route handlers without Next.js: on Node's own HTTP server. `npm run build && npm start` */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { GET as status } from "./app/api/videos/[id]/route";
import { GET as video } from "./app/api/videos/[id]/video/route";
import { POST as submit } from "./app/api/videos/route";
import { POST as receive } from "./app/api/webhooks/reelkeep/route";

type Route = (request: Request) => Promise<Response>;

const routes: Record<string, Route> = {
  "POST /api/videos": submit,
  "POST /api/webhooks/reelkeep": receive,
};

function routeFor(method: string, path: string): Route | undefined {
  const [, id, rest] = /^\/api\/videos\/(\w+)(\/video)?$/.exec(path) ?? [];
  if (method === "GET" && id) return (request) => (rest ? video : status)(request, { params: Promise.resolve({ id }) });
  return routes[`${method} ${path}`];
}
const LARGEST_BODY = 1 << 20; // bytes

const server = createServer(async (incoming, outgoing) => {
  const method = incoming.method ?? "";
  const route = routeFor(method, incoming.url ?? "");
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
    const body = method === "POST" ? { body: Buffer.concat(chunks) } : {};
    const answer = await route(new Request(url, { method, headers, ...body }));
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
  } catch (error) {
    console.error(error);
    outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(500).end();
  }
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Ready on http://localhost:${(server.address() as AddressInfo).port}`);
});
