const LARGEST_BYTES = 25 * 1024 * 1024;

/** Why a file can't be taken, known before it is sent; null when it may be. */
export function importRefusal(file: Pick<File, "size">): string | null {
  if (file.size === 0) return "The file is empty.";
  return file.size > LARGEST_BYTES ? "The file is larger than 25 MB; pack it with gzip, or split it." : null;
}
