// An HL7v2 receiver that others wrote: Medplum's MLLP server, on loopback. It prints {"port": …} when it listens, then
// {"id", "event", "document", "lines", "content"} for each message, before it answers. Ends with its standard input.
import { Hl7Server } from "@medplum/hl7";
import { createServer } from "node:net";

const free = () =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

const server = new Hl7Server((connection) => {
  connection.addEventListener("message", ({ message }) => {
    const lines = message.getAllSegments("OBX").map((segment) => segment.getField(5).toString());
    console.log(
      JSON.stringify({
        id: message.getSegment("MSH").getField(10).toString(),
        event: message.getSegment("MSH").getComponent(9, 2),
        document: message.getSegment("TXA").getComponent(12, 1),
        lines,
        content: message.toString(),
      }),
    );
    connection.send(message.buildAck());
  });
  connection.addEventListener("error", () => {}); // a sender that was killed
});
const port = await free();
await server.start(port, "utf-8");
console.log(JSON.stringify({ port }));
process.stdin.resume().on("end", () => process.exit(0));
