import { Text, Tooltip } from '@mantine/core';

const here = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** A moment in the viewer's zone; UTC on hover and for screen readers. `at` is RFC 3339 or milliseconds. */
export function Moment({ at }: { readonly at: string | number }) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <Text span>—</Text>;
  const utc = date.toISOString();
  return (
    <Tooltip
      label={`${utc.slice(0, 10)} ${utc.slice(11, 23)} UTC`}
      events={{ hover: true, focus: true, touch: true }}
    >
      <time dateTime={utc} tabIndex={0} style={{ whiteSpace: 'nowrap' }}>
        {here.format(date)}
      </time>
    </Tooltip>
  );
}
