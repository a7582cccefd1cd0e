/* The journal as a file: made whole, locked, checked, appended to. */
#include "io/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "io/journal_parts.h"

static int fail(const cv_journal *j, cv_err *err, int code, const char *what)
{
    int e = errno;
    return cv_err_set(err, code, j->path, 0, "%s: %s", what, strerror(e));
}

/* ---- system calls that may be interrupted ------------------------------- */

static int sync_data(int fd)
{
    int rc;
    do
        rc = fdatasync(fd);
    while (rc != 0 && errno == EINTR);
    return rc;
}

static int cut(int fd, int64_t size)
{
    int rc;
    do
        rc = ftruncate(fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc;
}

static int write_at(int fd, const char *p, size_t n, int64_t at)
{
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            errno = k < 0 ? errno : EIO;
            return -1;
        }
        p += k;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

/* ---- opening ------------------------------------------------------------ */

/* Must not wait for the other end of a pipe. Where `make` allows it, a file
 * that is not there is no error but leaves fd at -1. */
static int open_file(cv_journal *j, int flags, int make, cv_err *err)
{
    struct stat st;
    do
        j->fd = open(j->path,
                     flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (j->fd < 0 && errno == EINTR);
    if (j->fd < 0 && errno == ENOENT && make)
        return 0;
    if (j->fd < 0 && errno == ELOOP)
        return cv_err_set(err, CV_ERR_ENV, j->path, 0,
                          "expected the journal itself, found a symbolic "
                          "link; set the site's `state` to where it is");
    if (j->fd < 0)
        return fail(j, err, errno == ENOENT ? CV_ERR_INPUT : CV_ERR_ENV,
                    "cannot open the journal");
    if (fstat(j->fd, &st) != 0)
        return fail(j, err, CV_ERR_ENV, "cannot look at the journal");
    if (!S_ISREG(st.st_mode))
        return cv_err_set(err, CV_ERR_ENV, j->path, 0,
                          "expected a journal, found something that is not a "
                          "file");
    const char *slash = strrchr(j->path, '/');
    const char *name = slash ? slash + 1 : j->path; /* the rest is private */
    if (st.st_mode & 0077)
        cv_log(CV_LOG_WARN, "journal_open_to_others",
               "file=%s mode=%03o expected=600", name,
               (unsigned)st.st_mode & 0777);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        cv_log(CV_LOG_WARN, "journal_of_another_user",
               "file=%s owner=%lu expected=%lu", name, (unsigned long)st.st_uid,
               (unsigned long)geteuid());
    return 0;
}

/* Whole or not at all, and if another run was first, not again. */
static int make_file(cv_journal *j, cv_err *err)
{
    cv_buf b = {0};
    cv_journal_first_line(&b, j->path);
    int rc = cv_fs_write_new(j->path, b.data, b.len, 0600, err);
    cv_buf_free(&b);
    if (rc == CV_ERR_INPUT)
        rc = 0;
    return rc ? rc : open_file(j, O_RDWR, 0, err);
}

/* Does the path still lead to what is open? Its length. */
static int is_ours(const cv_journal *j, int64_t *size)
{
    struct stat a, b;
    int ours = fstat(j->fd, &a) == 0 && lstat(j->path, &b) == 0 &&
               a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    *size = ours ? a.st_size : -1;
    return ours;
}

/* Locks of the open file: other threads and journals of this process count as
 * others, and the lock ends with the process. They work over NFS. */
static int lock(cv_journal *j, cv_err *err)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int64_t size;
    int rc;
    do
        rc = fcntl(j->fd, F_OFD_SETLK, &fl);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EAGAIN && errno != EACCES)
        return fail(j, err, CV_ERR_ENV, "cannot lock the journal");
    if (rc != 0)
        return cv_err_set(err, CV_ERR_ENV, j->path, 0,
                          "another run of this silo is under way and holds "
                          "its journal; wait for it to end");
    return is_ours(j, &size)
               ? 0
               : cv_err_set(err, CV_ERR_ENV, j->path, 0,
                            "the journal was moved while it was opened; put "
                            "it back and try again");
}

/* ---- reading ------------------------------------------------------------ */

/* Reads what is there now: somebody may be appending while we only look. */
static int load(cv_journal *j, cv_err *err)
{
    enum { PIECE = 1 << 16 }; /* more than a line, so there is always room */
    struct stat st;
    if (fstat(j->fd, &st) != 0)
        return fail(j, err, CV_ERR_ENV, "cannot look at the journal");
    if (st.st_size > CV_JOURNAL_BYTES)
        return cv_err_set(err, CV_ERR_VERIFY, j->path, 0,
                          "expected a journal of at most %lld bytes, found "
                          "%lld",
                          (long long)CV_JOURNAL_BYTES, (long long)st.st_size);
    char *buf = cv_calloc(PIECE, 1);
    size_t have = 0, used = 0;
    int rc = 0;
    for (int64_t at = 0; at < st.st_size && !rc;) {
        size_t want = PIECE - have;
        if ((int64_t)want > st.st_size - at)
            want = (size_t)(st.st_size - at);
        ssize_t n = pread(j->fd, buf + have, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fail(j, err, CV_ERR_ENV, "cannot read the journal");
        if (n <= 0)
            break;
        at += n;
        have += (size_t)n;
        rc = cv_journal_take(j, buf, have, &used, err);
        memmove(buf, buf + used, have - used);
        have -= used;
    }
    if (!rc)
        rc = cv_journal_rest(j, buf, have, err);
    free(buf);
    return rc;
}

/* A process that was killed may have left entries, and the file's name, in
 * memory only; what counts must be on the disk. */
static int settle(cv_journal *j, cv_err *err)
{
    int64_t size;
    if (is_ours(j, &size) && size > j->size) {
        cv_log(CV_LOG_INFO, "journal_line_cut_short", "line=%d",
               (int)j->lines + 1);
        if (cut(j->fd, j->size) != 0)
            return fail(j, err, CV_ERR_ENV,
                        "cannot take the unfinished line off");
    }
    if (sync_data(j->fd) != 0)
        return fail(j, err, CV_ERR_ENV, "cannot sync the journal");
    return cv_fs_sync_dir_of(j->path, err);
}

static cv_journal *create(const char *path)
{
    cv_journal *j = CV_NEW(1, cv_journal);
    j->path = cv_strdup(path);
    j->fd = -1;
    return j;
}

int cv_journal_open(const char *path, cv_journal **out, cv_err *err)
{
    cv_journal *j = create(path);
    *out = NULL;
    int rc = open_file(j, O_RDWR, 1, err);
    if (!rc && j->fd < 0)
        rc = make_file(j, err);
    if (!rc)
        rc = lock(j, err);
    if (!rc)
        rc = load(j, err);
    if (!rc)
        rc = settle(j, err);
    if (rc)
        cv_journal_close(&j);
    *out = j;
    return rc;
}

int cv_journal_read(const char *path, cv_journal **out, cv_err *err)
{
    cv_journal *j = create(path);
    *out = NULL;
    int rc = open_file(j, O_RDONLY, 0, err);
    if (!rc)
        rc = load(j, err);
    if (rc) {
        cv_journal_close(&j);
        return rc;
    }
    close(j->fd);
    j->fd = -1;
    *out = j;
    return 0;
}

void cv_journal_close(cv_journal **j)
{
    if (*j == NULL)
        return;
    if ((*j)->fd >= 0)
        close((*j)->fd);
    free((*j)->entries);
    free((*j)->path);
    CV_FREE(*j);
}

/* ---- appending ---------------------------------------------------------- */

/* Failed syncs may have dropped the pages, so the shorter file is synced too;
 * if that fails nobody knows what the disk holds. */
static void put_back(cv_journal *j)
{
    if (cut(j->fd, j->size) != 0 || sync_data(j->fd) != 0)
        j->stuck = 1;
}

static int append_line(cv_journal *j, const char *line, size_t len, cv_err *err)
{
    int64_t size;
    if (j->stuck)
        return cv_err_set(err, CV_ERR_ENV, j->path, 0,
                          "the disk failed on an earlier entry of the "
                          "journal; mend it and start again");
    if (j->size + (int64_t)len > CV_JOURNAL_BYTES)
        return cv_err_set(err, CV_ERR_ENV, j->path, 0,
                          "the journal is full (%lld bytes)",
                          (long long)j->size);
    if (!is_ours(j, &size) || size != j->size)
        return cv_err_set(err, CV_ERR_ENV, j->path, 0,
                          "the journal was moved, removed or changed by "
                          "something else; put it back and start again");
    if (write_at(j->fd, line, len, j->size) == 0 && sync_data(j->fd) == 0)
        return 0;
    int rc = fail(j, err, CV_ERR_ENV, "cannot append to the journal");
    put_back(j);
    return rc;
}

int cv_journal_append(cv_journal *j, const cv_journal_entry *e, cv_err *err)
{
    CV_CHECK(j->fd >= 0); /* not one of cv_journal_read */
    const char *fault = cv_journal_entry_fault(e);
    if (fault)
        return cv_err_set(err, CV_ERR_BUG, j->path, 0,
                          "'%s' of an entry of the journal is out of range; "
                          "please report it",
                          fault);
    cv_buf b = {0};
    uint8_t check[CV_JOURNAL_CHECK];
    memcpy(check, j->check, sizeof check);
    cv_journal_entry_text(&b, e);
    cv_journal_seal(&b, check);
    int rc = append_line(j, b.data, b.len, err);
    if (!rc) {
        memcpy(j->check, check, sizeof check);
        j->size += (int64_t)b.len;
        j->lines++;
        cv_journal_push(j, e);
    }
    cv_buf_free(&b);
    return rc;
}

/* ---- looking up --------------------------------------------------------- */

const cv_journal_entry *cv_journal_entries(const cv_journal *j, size_t *n)
{
    *n = j->n;
    return j->entries;
}

static const cv_journal_entry *last(const cv_journal *j, cv_journal_kind kind,
                                    const uint8_t run_id[32], int64_t round)
{
    for (size_t i = j->n; i-- > 0;) {
        const cv_journal_entry *e = j->entries + i;
        if (e->kind == kind && memcmp(e->run_id, run_id, 32) == 0 &&
            (round <= 0 || e->round == round))
            return e;
    }
    return NULL;
}

const cv_journal_entry *cv_journal_last(const cv_journal *j,
                                        const uint8_t run_id[32], int64_t round)
{
    return last(j, CV_JOURNAL_ATTEMPT, run_id, round);
}

const cv_journal_entry *cv_journal_last_signed(const cv_journal *j,
                                               const uint8_t run_id[32])
{
    return last(j, CV_JOURNAL_SIGNED, run_id, 0);
}

int cv_journal_same_data(const cv_journal_entry *e, const uint8_t data[32],
                         const uint8_t place[32])
{
    return memcmp(e->data, data, 32) == 0 || memcmp(e->place, place, 32) == 0;
}
