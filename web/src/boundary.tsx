import { Component, type ComponentChildren } from "preact";

interface Props {
  /** Another one begins anew. */
  readonly of: string;
  readonly children: ComponentChildren;
}

/** A mistake in one part of the page must not take the way to all others away. */
export class Boundary extends Component<Props, { readonly error?: string; readonly of?: string }> {
  static override getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error.message : String(error) };
  }

  override componentDidUpdate(before: Props): void {
    if (before.of !== this.props.of && this.state.error !== undefined) this.setState({ error: undefined as never });
  }

  override render({ children }: Props) {
    const { error } = this.state;
    if (error === undefined) return children;
    return (
      <>
        <h1 tabIndex={-1}>This can’t be shown</h1>
        <div class="note failure" role="alert">
          <p>The page made a mistake with what it was answered ({error}). What you were writing is kept in this tab.</p>
          <p>
            <button type="button" onClick={() => location.reload()}>
              Load it again
            </button>
          </p>
        </div>
      </>
    );
  }
}
