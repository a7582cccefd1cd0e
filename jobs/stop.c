#include "jobs/stop.h"

#include <signal.h>
#include <stddef.h>

/* An int of its own: its address is what the waiting code looks at. */
static int g_stop;

static void on_signal(int signal)
{
    (void)signal;
    g_stop = 1;
}

void cv_stop_on_signals(void)
{
    /* A second signal ends the process, which loses nothing either. */
    struct sigaction sa = {.sa_handler = on_signal,
                           .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

const int *cv_stop_flag(void)
{
    return &g_stop;
}
