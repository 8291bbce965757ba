"""Bytes that survive a crash: files published in one step, arrays that are only appended to, the files of a worker."""
