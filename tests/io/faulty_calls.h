/** System calls that fail, or end the process, when told to: they take the
 *  place of libc's for the whole program.
 *
 *  To be included once.
 */
#ifndef COVEY_TESTS_FAULTY_CALLS_H
#define COVEY_TESTS_FAULTY_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    WRITES = 1,
    SYNCS = 2,
    RENAMES = 4,
    LINKS = 8,
    UNLINKS = 16,
    READS = 32
};

static struct {
    int calls;  /* which ones */
    int at;     /* fail from this one on, -1 never */
    int once;   /* or only this one */
    int errnum; /* 0: kill the process instead */
    int part;   /* bytes that the first failing write still writes; it then
                 * returns their number, unless the process is killed */
    int n;      /* calls so far */
} fault = {.at = -1};

static int is_due(int call)
{
    if (!(fault.calls & call) || fault.at < 0)
        return 0;
    int n = fault.n++;
    return fault.once ? n == fault.at : n >= fault.at;
}

static int fails(void)
{
    if (fault.errnum == 0)
        _exit(99); /* like kill -9: nothing is flushed or cleaned up */
    errno = fault.errnum;
    return -1;
}

static int faulty(int call)
{
    return is_due(call) && fails() != 0;
}

/* at < 0: where the file is. */
static ssize_t write_some(int fd, const void *buf, size_t n, off_t at)
{
    return at < 0 ? syscall(SYS_write, fd, buf, n)
                  : syscall(SYS_pwrite64, fd, buf, n, at);
}

static ssize_t faulty_write(int fd, const void *buf, size_t n, off_t at)
{
    size_t part = (size_t)fault.part < n ? (size_t)fault.part : n;
    if (!is_due(WRITES))
        return write_some(fd, buf, n, at);
    fault.part = 0;
    ssize_t k = part ? write_some(fd, buf, part, at) : 0;
    return k > 0 && fault.errnum ? k : fails();
}

ssize_t write(int fd, const void *buf, size_t n)
{
    return faulty_write(fd, buf, n, -1);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    return faulty_write(fd, buf, n, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
    return faulty_write(fd, buf, n, at);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    return faulty(READS) ? -1 : syscall(SYS_pread64, fd, buf, n, at);
}

int ftruncate(int fd, off_t n)
{
    return faulty(WRITES) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    return faulty(WRITES) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}

int fsync(int fd)
{
    return faulty(SYNCS) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return faulty(SYNCS) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
    return faulty(RENAMES)
               ? -1
               : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to,
              unsigned flags)
{
    return faulty(RENAMES)
               ? -1
               : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to)
{
    return faulty(LINKS)
               ? -1
               : (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int fd, const char *path, int flags)
{
    return faulty(UNLINKS) ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

static void fail_from(int calls, int at, int once, int errnum)
{
    fault.calls = calls;
    fault.at = at;
    fault.once = once;
    fault.errnum = errnum;
    fault.part = 0;
    fault.n = 0;
}

static void fail_never(void)
{
    fault.at = -1;
}

#endif
