/**
 * Commands to type in a terminal, as the page shows them: for the library of this server.
 *
 * Owns how a path is quoted for a shell. Must not know what a command does.
 */

/** `--library PATH`, or nothing where commands use this library anyway */
let option = "";

/** Commands are for the library of this status from now on. @param {{library: string, is_default_library: boolean, libraries: object[] | null}} status */
export function useLibrary({ library, is_default_library: isDefault, libraries }) {
  option = isDefault || libraries ? "" : ` --library ${quoted(library)}`;
}

/** A command of pixfind. @param {string} words what follows its name */
export const command = (words) => `pixfind${option} ${words}`;

/**
 * A path as one word of a shell.
 *
 * @param {string} path
 * @param {string} [otherwise] what stands for a path that cannot be shown
 * @returns {string}
 */
export function quoted(path, otherwise = "LIBRARY") {
  // Of control characters and those that turn the writing around a reader would not see what is typed.
  if (/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]/.test(path)) return otherwise;
  // No name has a quotation mark in Windows, whose shells know double ones alike.
  if (/^([A-Za-z]:)?[\\]/.test(path)) return /^[\w:.\\-]+$/.test(path) ? path : `"${path}"`;
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
