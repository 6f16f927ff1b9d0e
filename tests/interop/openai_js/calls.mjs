// Calls through a gateway with the official client; prints what came as one JSON object.
import OpenAI from "openai";

const [baseURL, apiKey, iin] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: `ЖСН ${iin}` }];

const whole = await client.chat.completions.create({ model: "small", messages });
let stream = "";
for await (const chunk of await client.chat.completions.create({ model: "small", messages, stream: true })) {
  stream += chunk.choices[0]?.delta?.content ?? "";
}
const tools = [{ type: "function", function: { name: "find", parameters: { type: "object" } } }];
const called = await client.chat.completions.create({ model: "small", messages, tools });
const vectors = await client.embeddings.create({ model: "vectors", input: ["a", "b"], encoding_format: "float" });
let hasSmall = false;
for await (const model of client.models.list()) {
  hasSmall ||= model.id === "small";
}
let unknown;
try {
  await client.chat.completions.create({ model: "nobody", messages });
} catch (error) {
  unknown = [error.status, error.code];
}
let broken = false;
try {
  const long = [{ role: "user", content: "a b c d e f g h" }];
  for await (const _ of await client.chat.completions.create({ model: "cut", messages: long, stream: true })) {
    // only its end matters
  }
} catch {
  broken = true;
}
console.log(
  JSON.stringify({
    chat: whole.choices[0].message.content,
    stream,
    arguments: JSON.parse(called.choices[0].message.tool_calls[0].function.arguments),
    vectors: vectors.data.map((each) => each.embedding.length),
    hasSmall,
    unknown,
    broken,
  }),
);
