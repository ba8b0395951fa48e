import { Modal } from '@mantine/core';
import { useEffect, type ReactNode } from 'react';

/** What opened a dialog: of an item of a menu, which is gone by then, the button of the menu. */
function openerOf(active: Element | null): () => Element | null {
  const button = active?.closest('[role="menu"]')?.getAttribute('aria-labelledby') ?? null;
  return () => (button === null ? active : document.getElementById(button));
}

/** A dialog that is open for as long as it is there. When it goes, the focus is where it was before, or where the page begins. */
export function Dialog({
  title,
  onClose,
  staysOnClick = false,
  children,
}: {
  readonly title: string;
  readonly onClose: () => void;
  /** A click beside it does not close it. */
  readonly staysOnClick?: boolean;
  readonly children: ReactNode;
}) {
  useEffect(() => {
    const opener = openerOf(document.activeElement);
    return () => {
      const before = opener();
      // What opened it is often gone by what was decided in it.
      const element = before?.isConnected === true ? before : document.getElementById('page-title');
      if (element instanceof HTMLElement) element.focus({ preventScroll: true });
    };
  }, []);
  return (
    <Modal
      opened
      onClose={onClose}
      title={title}
      closeOnClickOutside={!staysOnClick}
      closeButtonProps={{ 'aria-label': 'Close the dialog' }}
      centered
    >
      {children}
    </Modal>
  );
}
