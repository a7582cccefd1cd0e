#include "mpi/agree.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "mpi/reduce.h"

/* What stands behind the end of a text was once more of it, perhaps a private
 * path: nothing of that may travel. */
static void wipe_tail(char *text, size_t size)
{
    size_t n = strnlen(text, size - 1);
    memset(text + n, 0, size - n);
}

/* This rank knows that something is wrong, and the others are told that all is
 * well: whoever can change a sum can change the vote about it. There is nobody
 * left to agree with, and to go on would be to trust what is known to be false. */
_Noreturn static void outvoted(const cv_err *why)
{
    char text[1100];
    cv_err_format(why, text, sizeof text);
    fprintf(stderr,
            "%s; and the agreement of the ranks came back without it: the "
            "network, the MPI library or another rank suppresses what ranks "
            "say\n",
            text);
    fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, cv_exit_code(CV_ERR_VERIFY));
    abort();
}

void cv_vote_all(MPI_Comm comm, int *vote, int n, const cv_err *why)
{
    int *mine = CV_NEW(n, int);
    memcpy(mine, vote, (size_t)n * sizeof *mine);
    MPI_Allreduce(mine, vote, n, MPI_INT, MPI_MAX, comm);
    for (int i = 0; i < n; i++) {
        if (mine[i] && !vote[i])
            outvoted(why);
        vote[i] = vote[i] != 0;
    }
    free(mine);
}

/* The error as it came from another rank. */
static void take_error(cv_err *err, const cv_err *from)
{
    *err = *from;
    if (err->code >= 0)
        err->code = CV_ERR_VERIFY;
    err->file[sizeof err->file - 1] = '\0';
    err->text[sizeof err->text - 1] = '\0';
    err->site[0] = '\0';
    for (char *c = err->text; *c; c++) /* it goes to somebody's terminal */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
}

int cv_agree_all(MPI_Comm comm, int rc, cv_err *err)
{
    int rank, size, mine, first;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    mine = rc < 0 ? rank : INT_MAX;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm);
    if (first > mine)
        outvoted(err);
    if (first == INT_MAX)
        return 0;
    cv_err agreed = {0};
    if (rc < 0) {
        agreed = *err;
        agreed.code = rc;
        int world;
        MPI_Comm_rank(MPI_COMM_WORLD, &world);
        agreed.rank = world;
        if (err->site[0])
            cv_log_site("error", "code=%d text=\"%s\" detail=\"%s\"", rc,
                        err->text, err->site);
        memset(agreed.site, 0, sizeof agreed.site);
        wipe_tail(agreed.file, sizeof agreed.file);
        wipe_tail(agreed.text, sizeof agreed.text);
    }
    if (first < 0 || first >= size) {
        cv_err_set(err, CV_ERR_VERIFY, NULL, 0, "a rank that does not exist");
        outvoted(err);
    }
    MPI_Bcast(&agreed, (int)sizeof agreed, MPI_BYTE, first, comm);
    take_error(err, &agreed);
    return err->code;
}

int cv_same_digest_all(MPI_Comm comm, const uint8_t digest[32])
{
    uint8_t root[32];
    int rank, mine, first;
    MPI_Comm_rank(comm, &rank);
    memcpy(root, digest, sizeof root);
    MPI_Bcast(root, sizeof root, MPI_BYTE, 0, comm);
    mine = memcmp(root, digest, sizeof root) ? rank : INT_MAX;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm);
    if (first == INT_MAX) /* what others say takes nothing back */
        first = mine;
    return first == INT_MAX ? 0 : first + 1;
}

void cv_bcast_text_all(MPI_Comm comm, char **text, int root)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    int64_t n = rank == root ? (int64_t)strlen(*text) : 0;
    MPI_Bcast(&n, 1, MPI_INT64_T, root, comm);
    CV_CHECK(n >= 0 && n < INT64_MAX / 2);
    if (rank != root)
        *text = cv_realloc(NULL, (size_t)n + 1, 1);
    cv_bcast_bytes_all(comm, *text, (size_t)n + 1, root);
    if (rank != root)
        (*text)[n] = '\0'; /* whatever the root has sent */
}

void cv_gather_text_all(MPI_Comm comm, const char *text, char ***texts,
                        int root)
{
    int rank, size;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    *texts = NULL;
    if (rank != root) {
        int64_t n = (int64_t)strlen(text);
        MPI_Send(&n, 1, MPI_INT64_T, root, 1, comm);
        for (int64_t at = 0; at <= n; at += CV_CHUNK_BYTES) {
            int64_t k =
                n + 1 - at < CV_CHUNK_BYTES ? n + 1 - at : CV_CHUNK_BYTES;
            MPI_Send(text + at, (int)k, MPI_BYTE, root, 2, comm);
        }
        return;
    }
    *texts = CV_NEW(size, char *);
    for (int r = 0; r < size; r++) {
        if (r == root) {
            (*texts)[r] = cv_strdup(text);
            continue;
        }
        int64_t n;
        MPI_Recv(&n, 1, MPI_INT64_T, r, 1, comm, MPI_STATUS_IGNORE);
        CV_CHECK(n >= 0 && n < INT64_MAX / 2);
        char *t = cv_realloc(NULL, (size_t)n + 1, 1);
        for (int64_t at = 0; at <= n; at += CV_CHUNK_BYTES) {
            int64_t k =
                n + 1 - at < CV_CHUNK_BYTES ? n + 1 - at : CV_CHUNK_BYTES;
            MPI_Recv(t + at, (int)k, MPI_BYTE, r, 2, comm, MPI_STATUS_IGNORE);
        }
        t[n] = '\0';
        (*texts)[r] = t;
    }
}
