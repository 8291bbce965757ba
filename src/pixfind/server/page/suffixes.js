/**
 * The file name extensions of pictures: a copy of src/pixfind/images/suffixes.py, which tests/unit/test_suffixes.py compares.
 */

export const IMAGE_SUFFIXES = new Set(
  (
    "apng avif bmp gif heic heif hif j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx mpo pam pbm pfm pgm " +
    "png pnm ppm tif tiff webp"
  ).split(" "),
);
