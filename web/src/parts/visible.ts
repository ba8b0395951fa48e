/** Characters that show nothing or steer what shows them; tabs, line breaks and the joiners of scripts and emoji do neither. */
const UNSEEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const escaped = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** Text in which every character can be seen: what steers a terminal, or the direction of a line, stands as `\u{202e}`. */
export const visible = (text: string): string => text.replace(UNSEEN, escaped);

/** What is shown as nothing at all, or as a space that is none. */
const EMPTY = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/u;
/** What a browser leaves out: a space at an end or after another. */
const LOST_SPACE = /^ | $|(?<= ) /u;
/** What belongs to the character before it: in an emoji, and where a script joins its letters or keeps them apart. */
const OF_EMOJI =
  /(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f])\u200d(?=\p{Extended_Pictographic})|(?<=\p{Extended_Pictographic})\ufe0f|\ufe0f(?=\u20e3)/u;
const OF_SCRIPT =
  /(?<=[\p{sc=Arab}\p{sc=Beng}\p{sc=Deva}\p{sc=Gujr}\p{sc=Guru}\p{sc=Knda}\p{sc=Mlym}\p{sc=Orya}\p{sc=Sinh}\p{sc=Taml}\p{sc=Telu}])[\u200c\u200d](?=\p{L})/u;
const OF_NAME = new RegExp(
  `(${OF_EMOJI.source}|${OF_SCRIPT.source})|(?:${EMPTY.source}|${LOST_SPACE.source})`,
  'gu',
);

/** A name as nobody else's looks because of characters that show nothing: `p-42\u{200b}` is not `p-42`. */
export const visibleName = (name: string): string =>
  name.replace(OF_NAME, (character, kept: string | undefined) => kept ?? escaped(character));

/** JSON over several lines; what is no JSON stays as it came. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
