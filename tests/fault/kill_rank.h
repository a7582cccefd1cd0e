/** The environment of the libraries that kill a rank (LD_PRELOAD), and their
 *  trace. To be included once.
 *
 *  KILL_UNDER  the folder; what is done elsewhere does not count
 *  KILL_RANK   the MPI rank meant; "" for a program started without mpirun
 *  KILL_AT     counted from 1; 0 never
 *  KILL_TRACE  file that gets a line for each
 */
#ifndef COVEY_TESTS_KILL_RANK_H
#define COVEY_TESTS_KILL_RANK_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *g_under; /* NULL: another rank is meant */
static long g_at, g_count;
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

#endif
