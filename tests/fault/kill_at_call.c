/* Loaded before MPI and libc (LD_PRELOAD): ends one rank with SIGKILL right
 * before its Nth call of those below, which are all that a round sends to other
 * ranks and all that it does to files of the job. A pwrite may be cut short
 * first.
 * Told by kill_rank.h's environment, and
 *
 *   KILL_HALF   if set, half of the bytes of a pwrite are written before the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kill_rank.h"

/* One more call; 1 if it is the one meant. */
static int count(const char *what, const char *detail)
{
    if (!g_under)
        return 0;
    g_count++;
    if (g_trace >= 0)
        dprintf(g_trace, "%s %s\n", what, detail);
    return g_count == g_at;
}

static void call(const char *what, const char *detail)
{
    if (count(what, detail))
        kill(getpid(), SIGKILL);
}

/* The path of an open file, "" if it is not below the folder. */
static const char *path_of(int fd, char path[PATH_MAX + 1])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = g_under ? readlink(link, path, PATH_MAX) : -1;
    path[n > 0 ? n : 0] = '\0';
    return g_under && strstr(path, g_under) ? path : "";
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ---- files ------------------------------------------------------------------
 */

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    char path[PATH_MAX + 1], detail[PATH_MAX + 400];
    if (*path_of(fd, path)) { /* of a journal, what the line begins with too */
        int k = !strstr(path, ".journal") ? 0 : n < 300 ? (int)n : 300;
        snprintf(detail, sizeof detail, "%s %.*s", path, k, (const char *)p);
        for (char *c = detail; *c; c++)
            *c = *c == '\n' ? ' ' : *c;
        if (count("pwrite", detail)) {
            if (getenv("KILL_HALF"))
                NEXT(pwrite)(fd, p, n / 2, at);
            kill(getpid(), SIGKILL);
        }
    }
    return NEXT(pwrite)(fd, p, n, at);
}

int fdatasync(int fd)
{
    char path[PATH_MAX + 1];
    if (*path_of(fd, path))
        call("fdatasync", path);
    return NEXT(fdatasync)(fd);
}

int fsync(int fd)
{
    char path[PATH_MAX + 1];
    if (*path_of(fd, path))
        call("fsync", path);
    return NEXT(fsync)(fd);
}

int rename(const char *from, const char *to)
{
    if (g_under && strstr(to, g_under))
        call("rename", to);
    return NEXT(rename)(from, to);
}

int link(const char *from, const char *to)
{
    if (g_under && strstr(to, g_under))
        call("link", to);
    return NEXT(link)(from, to);
}

int unlink(const char *path)
{
    if (g_under && strstr(path, g_under))
        call("unlink", path);
    return NEXT(unlink)(path);
}

/* ---- messages -----------------------------------------------------------------
 */

int MPI_Allreduce(const void *in, void *out, int n, MPI_Datatype type,
                  MPI_Op op, MPI_Comm comm)
{
    /* The field's own operation is that of the masked sum. */
    int sum = op != MPI_MAX && op != MPI_MIN && op != MPI_SUM &&
              op != MPI_MAXLOC && op != MPI_MINLOC && op != MPI_BAND &&
              op != MPI_BOR && op != MPI_LAND && op != MPI_LOR;
    call("MPI_Allreduce", sum ? "masked" : "plain");
    return NEXT(MPI_Allreduce)(in, out, n, type, op, comm);
}

int MPI_Reduce_scatter(const void *in, void *out, const int *counts,
                       MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    call("MPI_Reduce_scatter", "masked");
    return NEXT(MPI_Reduce_scatter)(in, out, counts, type, op, comm);
}

int MPI_Allgatherv(const void *in, int n, MPI_Datatype type, void *out,
                   const int *counts, const int *at, MPI_Datatype out_type,
                   MPI_Comm comm)
{
    call("MPI_Allgatherv", "");
    return NEXT(MPI_Allgatherv)(in, n, type, out, counts, at, out_type, comm);
}

int MPI_Bcast(void *p, int n, MPI_Datatype type, int root, MPI_Comm comm)
{
    call("MPI_Bcast", "");
    return NEXT(MPI_Bcast)(p, n, type, root, comm);
}
