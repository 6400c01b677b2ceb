/** Names of the formats of other systems. Here so that help and completion need not load them. */
export const FORMATS = ["dotprompt", "prompty", "github", "langfuse", "mlflow", "openai"] as const;
