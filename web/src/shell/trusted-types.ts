/**
 * The page runs under `require-trusted-types-for 'script'` (W3C Trusted Types). The component library sets the text of its own style
 * elements through innerHTML, which asks the policy named `default`: text without `<` can make no element, all else is refused.
 */
interface TrustedTypesFactory {
  createPolicy(name: string, rules: { createHTML(text: string): string }): unknown;
}

export function refuseMarkup(page: { readonly trustedTypes?: TrustedTypesFactory }): void {
  page.trustedTypes?.createPolicy('default', {
    createHTML(text) {
      if (text.includes('<')) throw new TypeError('Markup from text is refused.');
      return text;
    },
  });
}
