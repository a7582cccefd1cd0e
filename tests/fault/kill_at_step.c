/* Loaded before libc (LD_PRELOAD): ends the process with SIGKILL right before
 * its Nth step on disk below one folder. A step is a call that changes what is
 * found there, or waits until it is on disk. Told by kill_rank.h's environment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill_rank.h"

static void step(const char *what, const char *path)
{
    if (!g_under || !strstr(path, g_under))
        return;
    if (++g_count == g_at)
        kill(getpid(), SIGKILL);
    if (g_trace >= 0)
        dprintf(g_trace, "%s %s\n", what, path);
}

static void step_fd(const char *what, int fd, const char *name)
{
    char link[64], path[PATH_MAX + 256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX);
    snprintf(path + (n > 0 ? n : 0), 256, "/%s", name);
    step(what, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int rename(const char *from, const char *to)
{
    step("rename", to);
    return NEXT(rename)(from, to);
}

int link(const char *from, const char *to)
{
    step("link", to);
    return NEXT(link)(from, to);
}

int unlink(const char *path)
{
    step("unlink", path);
    return NEXT(unlink)(path);
}

int unlinkat(int dir, const char *name, int flags)
{
    step_fd("unlink", dir, name);
    return NEXT(unlinkat)(dir, name, flags);
}

int fsync(int fd)
{
    step_fd("fsync", fd, "");
    return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    step_fd("fdatasync", fd, "");
    return NEXT(fdatasync)(fd);
}
