"""
Names that errors had before, for one release: programs may have stored them, and libraries hold reasons in former words.

Owns the two tables. `server` sends a former name beside the present one, the catalogue counts former reasons with the present ones, and
`pixfind.errors` warns of a former name that is imported.
"""

from typing import Final

#: present name of a class -> the former one
KINDS: Final = {
    "AddressInUse": "AddressTaken",
    "ChecksumMismatch": "DownloadDamaged",
    "ConflictingOptions": "OptionsExclude",
    "DecodeTimeout": "TakesTooLong",
    "DecoderCrash": "KillsTheDecoder",
    "DeviceUnavailable": "DeviceMissing",
    "EmptyBody": "NoBody",
    "ExtraNotInstalled": "ExtraMissing",
    "FileMissing": "Vanished",
    "FileUnavailable": "NotThere",
    "FolderNotReadable": "NoSuchFolder",
    "HostNotAllowed": "HostRefused",
    "ImageNotFound": "NoSuchImage",
    "InsufficientMemory": "TooLittleMemory",
    "InvalidCount": "CountWrong",
    "InvalidFilter": "FilterWrong",
    "InvalidModelFile": "ModelFileWrong",
    "InvalidQuery": "QueryWrong",
    "InvalidQueryImage": "QueryImageWrong",
    "InvalidRequest": "InputWrong",
    "InvalidToken": "TokenMissing",
    "InvalidUsage": "WrongUsage",
    "LibraryNotADirectory": "LibraryIsFile",
    "LibraryNotFound": "NoLibrary",
    "ModelNotServed": "OtherModelAsked",
    "ModifiedDuringRead": "KeepsChanging",
    "ModifiedSinceScan": "ChangedSince",
    "OperationError": "LibraryError",
    "OptionRequires": "OptionNeeds",
    "OriginNotAllowed": "OriginRefused",
    "OutputNotWritable": "OutputRefused",
    "Overloaded": "Busy",
    "PathNotAllowed": "PathRefused",
    "PayloadTooLarge": "TooMuch",
    "PrecisionUnavailable": "PrecisionMissing",
    "QueryCancelsOut": "QueryCancels",
    "RequestTimeout": "TooSlow",
    "RuntimeOutdated": "RuntimeTooOld",
    "TooManyRequests": "TooMany",
    "WorkerCrashLoop": "WorkersKeepDying",
}

#: former class -> the present one; two became one
CLASSES: Final = {former: present for present, former in KINDS.items()} | {"NoImage": "ImageNotFound"}

#: former kind of a recorded reason (all of it, or what stands before the colon) -> the present one
REASONS: Final = {
    "vanished": "file missing",
    "keeps changing while it is read": "modified while it was read",
    "changed since it was registered": "modified since its folder was scanned",
    "kills the decoder": "decoder crash",
    "takes too long": "decode timeout",
}


def kind(present: str) -> str:
    """Return the former name of a class, the present one where it was never renamed."""
    return KINDS.get(present, present)


def reason_kind(reason: str | None) -> str | None:
    """Return the kind of a recorded reason, what stands before its colon, in present words."""
    if reason is None:
        return None
    before = reason.partition(":")[0]
    return REASONS.get(before, before)
