import { defineCommand } from "../command.ts";
import { SERVICE_HELP, serviceOf } from "../service.ts";

export const command = defineCommand({
  usage: ["[SERVICE] [--host HOST]"],
  details: [
    "Forgets the token that login stored, in the keyring and in the file. The token itself stays valid until it is revoked",
    `where it was made. ${SERVICE_HELP}`,
  ],
  arguments: [{ name: "SERVICE", kind: "word", optional: true }],
  options: { host: { type: "string", value: "HOST", help: "a GitHub Enterprise; default: github.com" } },
  examples: [
    ["prompt-registry logout github", "forget the token of github.com"],
    ["prompt-registry logout https://registry.example", "forget the one of a registry server"],
  ],
  busy: "logging out",
  async run(context, { values, positionals }) {
    const { terminal, io } = context;
    const found = await serviceOf(context, positionals[0], values.host);
    const service = found.kind === "github" ? found.host.service : found.origin;
    const { deleteCredential } = await import("../../credentials/index.ts");
    const wasThere = await deleteCredential(service, { env: io.env });
    if (context.json) terminal.json({ service, status: wasThere ? "removed" : "unchanged" });
    else terminal.out(wasThere ? `logged out of ${service}\n` : `there was no login for ${service} (unchanged)\n`);
    if (wasThere && found.kind === "github") {
      terminal.hint(`the token stays valid until it is revoked at ${found.host.web}/settings/applications`);
    }
    return undefined;
  },
});
