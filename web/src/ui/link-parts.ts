/** Only addresses of pages become links: whoever writes a message must not be able to make a `javascript:` one. */
const ADDRESS = /(https?:\/\/[^\s<>"']*[^\s<>"'.,;:!?)\]}])/gu;

export function linkParts(text: string): { text: string; isLink: boolean }[] {
  return text
    .split(ADDRESS)
    .map((part, index) => ({ text: part, isLink: index % 2 === 1 }))
    .filter((part) => part.text !== "");
}
