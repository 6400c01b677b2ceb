import { type ComponentChildren, createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { Change, type SimpleAction } from "./change-dialogs.tsx";
import { MoveLabel } from "./move-label.tsx";

export type ActionRequest =
  /** Without a label a new one is named; without a version it is chosen. */
  { readonly kind: "move"; readonly label?: string; readonly version?: string } | SimpleAction;

const ActionContext = createContext<(action: ActionRequest) => void>(() => {});

/** Opens the dialog of a change. */
export const useActions = () => useContext(ActionContext);

export function Actions({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  const [action, setAction] = useState<ActionRequest>();
  const close = () => setAction(undefined);
  return (
    <ActionContext.Provider value={setAction}>
      {children}
      {action !== undefined &&
        (action.kind === "move" ? (
          <MoveLabel
            name={name}
            {...(action.label === undefined ? {} : { label: action.label })}
            {...(action.version === undefined ? {} : { version: action.version })}
            onClose={close}
          />
        ) : (
          <Change name={name} action={action} onClose={close} />
        ))}
    </ActionContext.Provider>
  );
}
