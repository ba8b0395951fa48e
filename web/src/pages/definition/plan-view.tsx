import { Alert, Badge, Code, List, Stack, Table, Text } from '@mantine/core';
import { IconAlertTriangle, IconCheck } from '@tabler/icons-react';
import type { Schema } from '../../api/schema.ts';
import { Moment } from '../../parts/moment.tsx';
import { Sheet } from '../../parts/sheet.tsx';
import { DiffView } from './diff-view.tsx';

type Plan = Schema<'DefinitionPlan'>;
type Change = Schema<'DefinitionChange'>;

const COLORS: Record<Change['change'], string> = { added: 'green', removed: 'red', changed: 'yellow' };

/** What applying would change, what would no longer come to hold, and why it could not be applied. */
export function PlanView({ plan, source }: { readonly plan: Plan; readonly source: string }) {
  const { canApply, against, againstSource, changes, refusals, faults, overruled } = plan;
  return (
    <Stack>
      <Alert
        role="status"
        color={canApply ? 'green' : 'red'}
        icon={canApply ? <IconCheck aria-hidden /> : <IconAlertTriangle aria-hidden />}
        title={canApply ? 'It can be applied' : 'It cannot be applied'}
      >
        {canApply && (
          <Text size="sm">
            It holds from <Moment at={plan.effectiveFrom} />
            {against !== null && `, after version ${against.version}`}.
          </Text>
        )}
        {refusals.length > 0 && (
          <List size="sm">
            {refusals.map((refusal) => (
              <List.Item key={refusal}>{refusal}</List.Item>
            ))}
          </List>
        )}
        {canApply && changes.length === 0 && <Text size="sm">Nothing that counts is different.</Text>}
      </Alert>
      {faults.length > 0 && <Faults faults={faults} />}
      {overruled.length > 0 && (
        <Alert color="yellow" title="Versions to come that would then never hold">
          {overruled.map(({ version, effectiveFrom }) => (
            <Text key={version} size="sm">
              Version {version}, from <Moment at={effectiveFrom} />
            </Text>
          ))}
        </Alert>
      )}
      {changes.length > 0 && <Changes changes={changes} />}
      {againstSource !== null && (
        <DiffView
          before={againstSource}
          after={source}
          label="How the text differs from the version before"
        />
      )}
    </Stack>
  );
}

function Faults({ faults }: { readonly faults: Plan['faults'] }) {
  return (
    <Sheet label="What is wrong in the text" columns={['Line', 'Where', 'What']} minWidth={420}>
      {faults.map(({ path, line, column, message }) => (
        <Table.Tr key={`${line}:${column} ${path} ${message}`}>
          <Table.Td>
            {line}:{column}
          </Table.Td>
          <Table.Td style={{ overflowWrap: 'anywhere' }}>
            <Code>{path}</Code>
          </Table.Td>
          <Table.Td>{message}</Table.Td>
        </Table.Tr>
      ))}
    </Sheet>
  );
}

/** What changes, in words: also after it was applied. */
export function Changes({ changes }: { readonly changes: readonly Change[] }) {
  return (
    <List listStyleType="none" spacing="xs" size="sm" aria-label="What changes">
      {changes.map(({ change, what, keys }) => (
        <List.Item key={`${change} ${what}`}>
          <Badge size="sm" variant="light" color={COLORS[change]} mr={8}>
            {change}
          </Badge>
          {what}
          {keys.length > 0 && (
            <Text span size="sm" c="dimmed">
              {' '}
              ({keys.join(', ')})
            </Text>
          )}
        </List.Item>
      ))}
    </List>
  );
}
