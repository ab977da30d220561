import type { ComponentChildren } from 'preact';

interface Props {
  readonly tone: 'bad' | 'warning';
  readonly title: string;
  readonly hint?: string | undefined;
  /** Shown small: a stable code, a time. */
  readonly detail?: string | undefined;
  readonly children?: ComponentChildren;
}

/** Something is wrong: what, and what to do next. */
export function Note({ tone, title, hint, detail, children }: Props) {
  return (
    <div class={`note ${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      <div class="note-text">
        <p class="note-title">{title}</p>
        {hint && <p class="note-hint">{hint}</p>}
        {detail && <p class="note-detail">{detail}</p>}
      </div>
      {children && <div class="note-actions">{children}</div>}
    </div>
  );
}
