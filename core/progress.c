#include "core/progress.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static cv_progress_mode g_mode = CV_PROGRESS_OFF;
static int g_shown; /* a live line is on the screen */

/* mpirun's stderr, as its ranks can name it. */
static void parent_stderr(char link[64])
{
    snprintf(link, 64, "/proc/%d/fd/2", (int)getppid());
}

static int parent_stderr_is_terminal(void)
{
    char link[64], target[256];
    parent_stderr(link);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return 0;
    target[n] = '\0';
    return strncmp(target, "/dev/pts/", 9) == 0 ||
           strncmp(target, "/dev/tty", 8) == 0;
}

static int under_mpirun(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_SIZE") ||
           getenv("PMIX_RANK");
}

/* Columns of the terminal; a longer line would wrap, and \\r not undo it. */
static int terminal_columns(void)
{
    struct winsize size = {0};
    char link[64];
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0) {
        parent_stderr(link);
        int fd = open(link, O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0) {
            (void)ioctl(fd, TIOCGWINSZ, &size);
            close(fd);
        }
    }
    return size.ws_col ? size.ws_col : 80;
}

cv_progress_mode cv_progress_init(cv_progress_mode mode)
{
    if (mode == CV_PROGRESS_AUTO) {
        const char *term = getenv("TERM");
        int dumb = term && strcmp(term, "dumb") == 0;
        int tty = under_mpirun() ? parent_stderr_is_terminal() : isatty(2);
        mode = tty && !dumb ? CV_PROGRESS_LIVE : CV_PROGRESS_LOG;
    }
    g_mode = mode;
    return mode;
}

void cv_progress_tick(const char *text)
{
    if (g_mode != CV_PROGRESS_LIVE)
        return;
    fprintf(stderr, "\r%.*s\033[K", terminal_columns() - 1, text);
    fflush(stderr);
    g_shown = 1;
}

void cv_progress_show(const char *text)
{
    if (g_mode == CV_PROGRESS_LIVE) {
        cv_progress_tick(text);
    } else if (g_mode == CV_PROGRESS_LOG) {
        fprintf(stderr, "%s\n", text);
        fflush(stderr);
    }
}

void cv_progress_clear(void)
{
    if (!g_shown)
        return;
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
    g_shown = 0;
}

void cv_progress_end(void)
{
    if (!g_shown)
        return;
    fprintf(stderr, "\n");
    fflush(stderr);
    g_shown = 0;
}

void cv_format_seconds(char *out, int size, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (seconds < 60.0)
        snprintf(out, (size_t)size, "%.1f s", seconds);
    else if (s < 3600)
        snprintf(out, (size_t)size, "%ld min %02ld s", s / 60, s % 60);
    else
        snprintf(out, (size_t)size, "%ld h %02ld min", s / 3600, s / 60 % 60);
}
