// One video through xAI's package, as a program has it made. Prints what came of it as JSON.
import { createXai } from "@ai-sdk/xai";

const [baseURL, apiKey, prompt] = process.argv.slice(2);
try {
  const made = await createXai({ baseURL, apiKey }).video("grok-imagine-video-1.5").doGenerate({
    prompt,
    n: 1,
    aspectRatio: "16:9",
    duration: 4,
    providerOptions: { xai: { resolution: "720p", pollIntervalMs: 50 } },
  });
  const bytes = await (await fetch(made.videos[0].url)).arrayBuffer();
  const kind = Buffer.from(bytes).toString("latin1", 4, 8);
  console.log(JSON.stringify({ kind, told: made.providerMetadata.xai }));
} catch (error) {
  console.log(JSON.stringify({ name: error.name, status: error.statusCode, message: error.message }));
}
