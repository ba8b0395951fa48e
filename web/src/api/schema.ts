import type { components, paths } from '../../../pkg/contract/admin-api.gen.ts';

export type { paths };

/** A schema of api/admin.yaml by its name. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];
