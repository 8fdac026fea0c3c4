// How large a picture may be, the same on every path. Both are checked before anything is decoded.

/** Bytes of an encoded picture. A phone's largest photos stay well below; a 50 MB file is refused. */
export const MAX_PICTURE_BYTES = 40 * 1024 * 1024;

/** Width × height; decoded this takes 256 MiB as RGBA. */
export const MAX_PICTURE_PIXELS = 64 * 1024 * 1024;
