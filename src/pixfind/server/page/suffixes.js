/**
 * The file name extensions of pictures and of videos: a copy of src/pixfind/images/suffixes.py, which tests/unit/test_suffixes.py compares.
 */

export const IMAGE_SUFFIXES = new Set(
  (
    "3fr apng arw avif bmp cr2 cr3 crw dcr dng erf fff gif heic heif hif iiq j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx kdc " +
    "mef mos mpo mrw nef nrw orf pam pbm pef pfm pgm png pnm ppm raf raw rw2 rwl sr2 srf srw tif tiff webp x3f"
  ).split(" "),
);

export const VIDEO_SUFFIXES = new Set(
  "3g2 3gp asf avi dv flv m2ts m4v mkv mod mov mp4 mpeg mpg mts mxf ogv tod vob webm wmv".split(" "),
);
