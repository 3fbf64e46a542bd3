/* Makes every call that waits for the disk take at least SLOW_FSYNC_US microseconds. Preloaded into both servers
 * and, by the inherited environment, into every process they start.
 *
 * Covered: fsync, fdatasync, syncfs, sync, sync_file_range that waits, msync(MS_SYNC), pwritev2 with RWF_DSYNC or RWF_SYNC,
 * writes to files opened with O_DSYNC or O_SYNC, and all of these through syscall(2). Not covered: io_uring, and calls made
 * past the dynamic linker. The benchmark checks what a lone SET takes before it believes that a server is slowed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))next_symbol(#name))
#define MOST_FILES 65536
#ifndef RWF_DSYNC
#define RWF_DSYNC 0x00000002
#define RWF_SYNC 0x00000004
#endif

static long delay_ns;
static unsigned char is_synced_file[MOST_FILES];

static void *next_symbol(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static struct timespec start_of_call(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}

static void fill_up(struct timespec until) {
    int kept = errno;
    until.tv_nsec += delay_ns;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
    errno = kept;
}

/* Runs `call` and then waits until the delay has passed since it began. */
#define SLOWED(type, call)                       \
    do {                                         \
        struct timespec began = start_of_call(); \
        type result = (call);                    \
        fill_up(began);                          \
        return result;                           \
    } while (0)

/* The same only when `slow` is true; resolves the real function once. */
#define WRITE_CALL(type, name, parameters, arguments, slow) \
    type name parameters {                                  \
        static __typeof__(&name) real;                      \
        if (!real) real = NEXT(name);                       \
        if (!(slow)) return real arguments;                 \
        SLOWED(type, real arguments);                       \
    }

static int is_synced(int fd) { return fd >= 0 && fd < MOST_FILES && is_synced_file[fd]; }

static int note_file(int fd, int flags) {
    if (fd >= 0 && fd < MOST_FILES) is_synced_file[fd] = (flags & O_DSYNC) != 0; /* O_SYNC contains O_DSYNC */
    return fd;
}

__attribute__((constructor)) static void begin(void) {
    const char *microseconds = getenv("SLOW_FSYNC_US");
    delay_ns = microseconds ? atol(microseconds) * 1000L : 0;
    for (int fd = 0; fd < 1024; fd++) { /* inherited */
        int flags = fcntl(fd, F_GETFL);
        if (flags != -1) note_file(fd, flags);
    }
}

WRITE_CALL(int, fsync, (int fd), (fd), 1)
WRITE_CALL(int, fdatasync, (int fd), (fd), 1)
WRITE_CALL(int, syncfs, (int fd), (fd), 1)
WRITE_CALL(int, msync, (void *address, size_t length, int flags), (address, length, flags), flags &MS_SYNC)
WRITE_CALL(int, sync_file_range, (int fd, off64_t offset, off64_t count, unsigned int flags), (fd, offset, count, flags),
           flags &(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER))
WRITE_CALL(ssize_t, write, (int fd, const void *data, size_t count), (fd, data, count), is_synced(fd))
WRITE_CALL(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), is_synced(fd))
WRITE_CALL(ssize_t, pwrite, (int fd, const void *data, size_t count, off_t offset), (fd, data, count, offset), is_synced(fd))
WRITE_CALL(ssize_t, pwrite64, (int fd, const void *data, size_t count, off64_t offset), (fd, data, count, offset),
           is_synced(fd))
WRITE_CALL(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t offset), (fd, parts, count, offset),
           is_synced(fd))
WRITE_CALL(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t offset), (fd, parts, count, offset),
           is_synced(fd))
WRITE_CALL(ssize_t, pwritev2, (int fd, const struct iovec *parts, int count, off_t offset, int flags),
           (fd, parts, count, offset, flags), is_synced(fd) || (flags & (RWF_DSYNC | RWF_SYNC)))
WRITE_CALL(ssize_t, pwritev64v2, (int fd, const struct iovec *parts, int count, off64_t offset, int flags),
           (fd, parts, count, offset, flags), is_synced(fd) || (flags & (RWF_DSYNC | RWF_SYNC)))

void sync(void) {
    struct timespec began = start_of_call();
    NEXT(sync)();
    fill_up(began);
}

int close(int fd) {
    static __typeof__(&close) real;
    if (!real) real = NEXT(close);
    note_file(fd, 0);
    return real(fd);
}

#define OPEN_CALL(name, parameters, arguments)                          \
    int name parameters {                                               \
        static __typeof__(&name) real;                                  \
        va_list more;                                                   \
        mode_t mode = 0;                                                \
        if (!real) real = NEXT(name);                                   \
        if (flags & (O_CREAT | __O_TMPFILE)) {                          \
            va_start(more, flags);                                      \
            mode = va_arg(more, mode_t);                                \
            va_end(more);                                               \
        }                                                               \
        return note_file(real arguments, flags);                        \
    }

OPEN_CALL(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN_CALL(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN_CALL(openat, (int directory, const char *path, int flags, ...), (directory, path, flags, mode))
OPEN_CALL(openat64, (int directory, const char *path, int flags, ...), (directory, path, flags, mode))

static int waits_for_disk(long number, const long *a) {
    switch (number) {
    case SYS_fsync: case SYS_fdatasync: case SYS_syncfs: case SYS_sync: return 1;
    case SYS_msync: return (a[2] & MS_SYNC) != 0;
    case SYS_sync_file_range: return (a[3] & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)) != 0;
    case SYS_write: case SYS_writev: case SYS_pwrite64: case SYS_pwritev: return is_synced((int)a[0]);
    case SYS_pwritev2: return is_synced((int)a[0]) || (a[5] & (RWF_DSYNC | RWF_SYNC)) != 0;
    default: return 0;
    }
}

long syscall(long number, ...) {
    static __typeof__(&syscall) real;
    long a[6];
    va_list more;
    if (!real) real = NEXT(syscall);
    va_start(more, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(more, long);
    va_end(more);
    if (!waits_for_disk(number, a)) return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    SLOWED(long, real(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}
