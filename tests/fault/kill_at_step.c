/* Loaded before libc (LD_PRELOAD): ends the process with SIGKILL right before
 * its Nth step on disk below one folder. A step is a call that changes what is
 * found there, or waits until it is on disk.
 *
 *   KILL_UNDER  the folder; other steps do not count
 *   KILL_RANK   the MPI rank meant; "" for a program started without mpirun
 *   KILL_AT     N, counted from 1; 0 never
 *   KILL_TRACE  file that gets a line per step
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *g_under;
static long g_at, g_step;
static int g_trace = -1;

__attribute__((constructor)) static void start(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    const char *mine = getenv("KILL_RANK"), *trace = getenv("KILL_TRACE");
    if (!rank)
        rank = getenv("PMI_RANK");
    if (!mine || strcmp(mine, rank ? rank : "") != 0)
        return;
    g_under = getenv("KILL_UNDER");
    g_at = getenv("KILL_AT") ? atol(getenv("KILL_AT")) : 0;
    if (trace)
        g_trace = open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void step(const char *what, const char *path)
{
    if (!g_under || !strstr(path, g_under))
        return;
    if (++g_step == g_at)
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
