#include "chain/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/secret.h"

/* Drop the line end and check what is left. */
static int finish(cv_passphrase *p, const char *file, cv_err *err)
{
    if (p->len && p->text[p->len - 1] == '\n')
        p->len--;
    if (p->len && p->text[p->len - 1] == '\r')
        p->len--;
    memset(p->text + p->len, 0, 2);
    if (p->len > CV_PASSPHRASE_MAX)
        return cv_err_set(err, CV_ERR_INPUT, file, 0,
                          "expected a pass phrase of at most %d bytes, found "
                          "more",
                          CV_PASSPHRASE_MAX);
    if (memchr(p->text, '\n', p->len) || strlen(p->text) != p->len)
        return cv_err_set(err, CV_ERR_INPUT, file, 0,
                          "expected one line of text with a pass phrase, "
                          "found more lines or a zero byte");
    return 0;
}

int cv_passphrase_read(const char *path, cv_passphrase *out, cv_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = 0;
    if (fd < 0)
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "cannot open the pass phrase file: %s",
                          strerror(errno));
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
        cv_log(CV_LOG_WARN, "password_file_open_to_others",
               "file=%s mode=%03o expected=600", path, st.st_mode & 0777);
    /* Room for a line end, and for one byte too many. */
    enum { ROOM = CV_PASSPHRASE_MAX + 3 };
    cv_passphrase p = {cv_secret_alloc(ROOM + 2), 0};
    while (p.len < ROOM) {
        ssize_t n = read(fd, p.text + p.len, ROOM - p.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                            "cannot read the pass phrase file: %s",
                            strerror(errno));
        if (n <= 0)
            break;
        p.len += (size_t)n;
    }
    close(fd);
    if (!rc)
        rc = finish(&p, path, err);
    if (rc)
        cv_passphrase_wipe(&p);
    else
        *out = p;
    return rc;
}

static volatile sig_atomic_t caught;

static void catch_signal(int sig)
{
    caught = sig;
}

/* One line from the terminal. Signals are blocked except inside ppoll, so that
 * none slips in between the look at `caught` and the wait. */
static int read_line(int fd, cv_passphrase *p, const sigset_t *open_mask,
                     cv_err *err)
{
    enum { ROOM = CV_PASSPHRASE_MAX + 2 };
    while (!caught && p->len < ROOM) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (ppoll(&wait, 1, NULL, open_mask) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        ssize_t n = read(fd, p->text + p->len, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        p->len++;
        if (p->text[p->len - 1] == '\n')
            return 0;
    }
    if (p->len >= ROOM)
        return 0; /* finish() says that it is too long */
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "expected a pass phrase, found the end of the input");
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { N_ENDING = sizeof ending / sizeof ending[0] };

static int ask(int fd, const char *label, cv_passphrase *p, cv_err *err)
{
    struct termios before, quiet;
    if (tcgetattr(fd, &before) != 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "cannot switch off the terminal's echo: %s",
                          strerror(errno));
    sigset_t block, open_mask;
    struct sigaction old[N_ENDING], act = {.sa_handler = catch_signal};
    sigemptyset(&block);
    for (int i = 0; i < N_ENDING; i++)
        sigaddset(&block, ending[i]);
    sigprocmask(SIG_BLOCK, &block, &open_mask);
    caught = 0;
    for (int i = 0; i < N_ENDING; i++)
        sigaction(ending[i], &act, &old[i]);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    quiet.c_cc[VSUSP] = _POSIX_VDISABLE; /* no shell without an echo */
    int rc = 0;
    if (dprintf(fd, "%s: ", label) < 0 || tcsetattr(fd, TCSAFLUSH, &quiet) != 0)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "cannot ask at the terminal: %s", strerror(errno));
    else
        rc = read_line(fd, p, &open_mask, err);
    tcsetattr(fd, TCSAFLUSH, &before);
    (void)!write(fd, "\n", 1);
    for (int i = 0; i < N_ENDING; i++)
        sigaction(ending[i], &old[i], NULL);
    if (caught) /* now to whoever it was for: as a rule this ends us */
        raise(caught);
    sigprocmask(SIG_SETMASK, &open_mask, NULL);
    return rc;
}

int cv_passphrase_ask(const char *label, cv_passphrase *out, cv_err *err)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "a pass phrase is needed and there is no terminal "
                          "to ask at; put it into a file that only you can "
                          "read, and give --password-file FILE");
    cv_passphrase p = {cv_secret_alloc(CV_PASSPHRASE_MAX + 4), 0};
    int rc = ask(fd, label, &p, err);
    close(fd);
    if (!rc)
        rc = finish(&p, NULL, err);
    if (rc)
        cv_passphrase_wipe(&p);
    else
        *out = p;
    return rc;
}

int cv_passphrase_same(const cv_passphrase *a, const cv_passphrase *b)
{
    return a->len == b->len && cv_equal(a->text, b->text, a->len);
}

void cv_passphrase_wipe(cv_passphrase *p)
{
    cv_secret_free(p->text);
    *p = (cv_passphrase){0};
}
