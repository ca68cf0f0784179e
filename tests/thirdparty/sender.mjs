// An HL7v2 sender that others wrote: Medplum's MLLP client, on loopback. It repeats each message until it is answered AA.
// node sender.mjs CONFIGURATION.json {"port", "connections", "messages": [text]}: prints {"id", "attempts", "answered", "code"}
// for each answer, where "id" is MSH-10 of the message, and "answered" MSA-2 of the answer. Ends with its standard input.
import { Hl7Message } from "@medplum/core";
import { Hl7Client } from "@medplum/hl7";
import { readFileSync } from "node:fs";

const PATIENCE_MS = 5_000; // as Mirth's default
const { port, connections, messages } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

function connected() {
  const client = new Hl7Client({ host: "127.0.0.1", port, connectTimeout: PATIENCE_MS });
  client.addEventListener("error", () => {}); // the listener was killed
  // The client's promise of an answer outlives its connection: a connection that is closed gives none any more.
  const closed = new Promise((_, reject) => client.addEventListener("close", () => reject(new Error("closed"))));
  closed.catch(() => {});
  return { client, closed };
}

async function answerTo(message, { client, closed }) {
  const answer = client.sendAndWait(message, { timeoutMs: PATIENCE_MS });
  answer.catch(() => {}); // the other promise may have ended before
  const msa = (await Promise.race([answer, closed])).getSegment("MSA");
  return { answered: msa.getField(2).toString(), code: msa.getField(1).toString() };
}

async function deliver(texts) {
  let connection = connected();
  for (const text of texts) {
    const message = Hl7Message.parse(text);
    const id = message.getSegment("MSH").getField(10).toString();
    for (let code, attempts = 1; code !== "AA"; attempts++) {
      try {
        const answer = await answerTo(message, connection);
        code = answer.code;
        console.log(JSON.stringify({ id, attempts, ...answer }));
      } catch {
        await connection.client.close().catch(() => {});
        await pause();
        connection = connected();
      }
    }
  }
  await connection.client.close();
}

for (let first = 0; first < connections; first++) {
  deliver(messages.filter((_, number) => number % connections === first));
}
process.stdin.resume().on("end", () => process.exit(0));
