/*
 * A disk that fails: a library for LD_PRELOAD that counts the calls which change files below some folders, in all processes
 * together, and lets one of them fail, or the first of each kind.
 *
 * Build: cc -shared -fPIC -O2 -o failing_disk.so failing_disk.c -ldl
 *
 * What is to fail is read from the file named by FAILING_DISK, laid out as `struct plan`; it is mapped and shared, so one counter
 * serves a command and its workers. Every counted call is appended to FAILING_DISK_LOG as "operation<TAB>file<TAB>number<TAB>error",
 * the error 0 for none.
 * A file is named by its kind: its path below the watched folder, with "#" for what differs from run to run: numbers and hashes.
 * src/pixfind/testing/failing_disk.py writes the one and reads the other.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FOLDERS 4
#define HASH_DIGITS 12
#define TEMPORARY_NAME 11          /* letters of a name that Python's tempfile makes */
#define MODE_ONCE 0
#define MODE_FROM_THEN_ON 1
#define MODE_FIRST_OF_EACH_KIND 2
#define KINDS 1024

struct plan {
    _Atomic uint64_t matched;        /* calls of the kind that is to fail, so far */
    _Atomic uint64_t failed;         /* calls that were made to fail */
    uint64_t fail_at;                /* number of the matching call that fails, from 1; 0: none */
    int32_t error;                   /* errno of the failure */
    int32_t mode;
    char operation[32];              /* "": any */
    char kind[480];                  /* "": any */
    char folders[FOLDERS][1024];     /* real paths; "": unused */
    _Atomic uint64_t kinds[KINDS];   /* hashes of the operations and kinds that have failed, with MODE_FIRST_OF_EACH_KIND */
};

static struct plan *plan;
static int log_fd = -1;
static __thread int inside;

__attribute__((constructor)) static void start(void) {
    const char *state = getenv("FAILING_DISK"), *log = getenv("FAILING_DISK_LOG");
    if (!state) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, state, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped == MAP_FAILED) return;
    plan = mapped;
    /* A number that nobody closes by mistake, and that no child inherits. */
    if (log) {
        int low = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        log_fd = fcntl(low, F_DUPFD_CLOEXEC, 700);
        syscall(SYS_close, low);
    }
}

/* The kind of a file below a watched folder; 0 for any other. */
static int kind_of(const char *path, char *kind, size_t room) {
    const char *below = NULL;
    for (int i = 0; i < FOLDERS && !below; i++) {
        size_t length = strlen(plan->folders[i]);
        if (length && !strncmp(path, plan->folders[i], length) && (path[length] == '/' || !path[length]))
            below = path[length] ? path + length + 1 : ".";
    }
    if (!below) return 0;
    size_t at = 0;
    int hidden = 0;                  /* inside the random part of a name */
    for (const char *c = below; *c && at + 8 < room; c++) {
        if (!strncmp(below, "thumbnails/", 11) && c - below == 11) {
            /* Named by content: one kind. */
            kind[at++] = '*';
            break;
        }
        if (*c == '/') hidden = 0;
        if (hidden) continue;
        if ((c == below || c[-1] == '/') && !strncmp(c, "tmp", 3) && strcspn(c, "/. ") == TEMPORARY_NAME) {
            /* Python's temporary files. */
            memcpy(kind + at, "tmp#", 4);
            at += 4;
            hidden = 1;
            continue;
        }
        size_t hexadecimal = strspn(c, "0123456789abcdef");
        if (hexadecimal >= HASH_DIGITS || (*c >= '0' && *c <= '9')) {
            if (!at || kind[at - 1] != '#') kind[at++] = '#';
            if (hexadecimal >= HASH_DIGITS) c += hexadecimal - 1;
            continue;
        }
        if (!strncmp(c, ".making-", 8)) {
            memcpy(kind + at, ".making", 7);
            at += 7;
            hidden = 1;
            continue;
        }
        kind[at++] = *c;
    }
    kind[at] = 0;
    char *deleted = strstr(kind, " (deleted)");
    if (deleted) *deleted = 0;
    return 1;
}

static int takes_room(const char *operation) {
    return !strstr("unlink rmdir fsync fdatasync rename", operation);
}

static uint64_t hash_of(uint64_t hash, const char *text) {
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

/* Whether no such operation on such a file has failed yet; if so, it is noted as failed. */
static int first_of_its_kind(const char *operation, const char *kind) {
    uint64_t hash = hash_of(hash_of(hash_of(14695981039346656037u, operation), "\t"), kind) | 1;
    for (int i = 0; i < KINDS; i++) {
        _Atomic uint64_t *place = &plan->kinds[(hash + (uint64_t)i) % KINDS];
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(place, &there, hash)) return 1;
        if (there == hash) return 0;
    }
    return 0;
}

/* Whether this call on `path` is to fail; then errno is set. */
static int fails(const char *operation, const char *path) {
    char kind[480], line[600];
    if (!plan || inside || !kind_of(path, kind, sizeof kind)) return 0;
    inside = 1;
    int error = plan->error;
    int matches = (!plan->operation[0] || !strcmp(plan->operation, operation)) && (!plan->kind[0] || !strcmp(plan->kind, kind));
    uint64_t number = matches ? atomic_fetch_add(&plan->matched, 1) + 1 : 0;
    int failed = matches && plan->fail_at && number == plan->fail_at;
    if (plan->mode == MODE_FROM_THEN_ON && plan->fail_at && atomic_load(&plan->matched) >= plan->fail_at)
        /* A full disk still deletes and renames; a dead one does nothing any more. */
        failed = error != ENOSPC || takes_room(operation);
    if (plan->mode == MODE_FIRST_OF_EACH_KIND) {
        failed = first_of_its_kind(operation, kind);
        /* In turns, so that one pass meets both. */
        if (atomic_load(&plan->failed) % 2 && takes_room(operation)) error = ENOSPC;
    }
    if (failed) atomic_fetch_add(&plan->failed, 1);
    if (log_fd >= 0) {
        int length = snprintf(line, sizeof line, "%s\t%s\t%llu\t%d\n", operation, kind, (unsigned long long)number, failed ? error : 0);
        if (length > 0) syscall(SYS_write, log_fd, line, (size_t)length);
    }
    inside = 0;
    if (failed) errno = error;
    return failed;
}

static int fails_fd(const char *operation, int fd) {
    char link[64], path[PATH_MAX];
    struct stat found;
    if (!plan || inside || fd == log_fd) return 0;
    int before = errno;
    int other = fstat(fd, &found) || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
    ssize_t length = -1;
    if (!other) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, path, sizeof path - 1);
    }
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(operation, path);
}

static int fails_at(const char *operation, int folder, const char *name) {
    char path[2 * PATH_MAX], base[PATH_MAX], link[64];
    if (!plan || inside || !name) return 0;
    if (name[0] == '/') return fails(operation, name);
    int before = errno;
    ssize_t length;
    if (folder == AT_FDCWD) {
        length = getcwd(base, sizeof base) ? (ssize_t)strlen(base) : -1;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, base, sizeof base - 1);
    }
    errno = before;
    if (length < 0) return 0;
    base[length] = 0;
    snprintf(path, sizeof path, "%s/%s", base, name);
    return fails(operation, path);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* --- bytes --- */

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    return fails_fd("write", fd) ? -1 : real(fd, data, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    REAL(pwrite);
    return fails_fd("pwrite", fd) ? -1 : real(fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    REAL(pwrite64);
    return fails_fd("pwrite", fd) ? -1 : real(fd, data, length, at);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    REAL(writev);
    return fails_fd("writev", fd) ? -1 : real(fd, pieces, count);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t at) {
    REAL(pwritev);
    return fails_fd("writev", fd) ? -1 : real(fd, pieces, count, at);
}

/* The C library's own buffers are flushed by calls that nothing can come between: so the call that fills them fails. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    REAL(fwrite);
    return fails_fd("fwrite", fileno(file)) ? 0 : real(data, size, count, file);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t length, unsigned flags) {
    REAL(copy_file_range);
    return fails_fd("copy", to) ? -1 : real(from, at, to, to_at, length, flags);
}

ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    static ssize_t (*real)(int, int, off_t *, size_t);
    if (!real) real = (ssize_t (*)(int, int, off_t *, size_t))dlsym(RTLD_NEXT, "sendfile");
    return fails_fd("copy", to) ? -1 : real(to, from, at, length);
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t length) {
    static ssize_t (*real)(int, int, off64_t *, size_t);
    if (!real) real = (ssize_t (*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
    return fails_fd("copy", to) ? -1 : real(to, from, at, length);
}

/* Nobody cuts the power here, so a sync that does not fail has nothing to do: that makes a sweep several times as fast. */
int fsync(int fd) { return fails_fd("fsync", fd) ? -1 : 0; }

int fdatasync(int fd) { return fails_fd("fdatasync", fd) ? -1 : 0; }

int ftruncate(int fd, off_t length) {
    REAL(ftruncate);
    return fails_fd("ftruncate", fd) ? -1 : real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    return fails_fd("ftruncate", fd) ? -1 : real(fd, length);
}

int fallocate(int fd, int mode, off_t at, off_t length) {
    REAL(fallocate);
    return fails_fd("fallocate", fd) ? -1 : real(fd, mode, at, length);
}

int fallocate64(int fd, int mode, off64_t at, off64_t length) {
    REAL(fallocate64);
    return fails_fd("fallocate", fd) ? -1 : real(fd, mode, at, length);
}

/* These return the error instead of setting errno. */
int posix_fallocate(int fd, off_t at, off_t length) {
    REAL(posix_fallocate);
    return fails_fd("fallocate", fd) ? errno : real(fd, at, length);
}

int posix_fallocate64(int fd, off64_t at, off64_t length) {
    REAL(posix_fallocate64);
    return fails_fd("fallocate", fd) ? errno : real(fd, at, length);
}

int truncate(const char *path, off_t length) {
    REAL(truncate);
    return fails_at("truncate", AT_FDCWD, path) ? -1 : real(path, length);
}

int truncate64(const char *path, off64_t length) {
    REAL(truncate64);
    return fails_at("truncate", AT_FDCWD, path) ? -1 : real(path, length);
}

/* --- names --- */

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC); }

#define OPEN(name, folder, signature, call_real) \
    int name signature { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | __O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return writes(flags) && fails_at("open", folder, path) ? -1 : call_real; \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), real(path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), real(path, flags, mode))
OPEN(openat, at, (int at, const char *path, int flags, ...), real(at, path, flags, mode))
OPEN(openat64, at, (int at, const char *path, int flags, ...), real(at, path, flags, mode))

int creat(const char *path, mode_t mode) {
    REAL(creat);
    return fails_at("open", AT_FDCWD, path) ? -1 : real(path, mode);
}

FILE *fopen(const char *path, const char *how) {
    REAL(fopen);
    return strpbrk(how, "wa+") && fails_at("open", AT_FDCWD, path) ? NULL : real(path, how);
}

FILE *fopen64(const char *path, const char *how) {
    REAL(fopen64);
    return strpbrk(how, "wa+") && fails_at("open", AT_FDCWD, path) ? NULL : real(path, how);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return fails_at("rename", AT_FDCWD, to) ? -1 : real(from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
    REAL(renameat);
    return fails_at("rename", to_at, to) ? -1 : real(from_at, from, to_at, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    REAL(renameat2);
    return fails_at("rename", to_at, to) ? -1 : real(from_at, from, to_at, to, flags);
}

int unlink(const char *path) {
    REAL(unlink);
    return fails_at("unlink", AT_FDCWD, path) ? -1 : real(path);
}

int unlinkat(int at, const char *path, int flags) {
    REAL(unlinkat);
    return fails_at(flags & AT_REMOVEDIR ? "rmdir" : "unlink", at, path) ? -1 : real(at, path, flags);
}

int remove(const char *path) {
    REAL(remove);
    return fails_at("unlink", AT_FDCWD, path) ? -1 : real(path);
}

int rmdir(const char *path) {
    REAL(rmdir);
    return fails_at("rmdir", AT_FDCWD, path) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return fails_at("mkdir", AT_FDCWD, path) ? -1 : real(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode) {
    REAL(mkdirat);
    return fails_at("mkdir", at, path) ? -1 : real(at, path, mode);
}

int link(const char *from, const char *to) {
    REAL(link);
    return fails_at("link", AT_FDCWD, to) ? -1 : real(from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    REAL(linkat);
    return fails_at("link", to_at, to) ? -1 : real(from_at, from, to_at, to, flags);
}

int symlink(const char *from, const char *to) {
    REAL(symlink);
    return fails_at("link", AT_FDCWD, to) ? -1 : real(from, to);
}
