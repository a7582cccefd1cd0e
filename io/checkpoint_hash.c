/* SHA-256 of an array, by as many threads as help (see checkpoint_parts.h).
 *
 * The threads call nothing but SHA-256 and pread: no HDF5, no MPI, no log. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/mem.h"
#include "io/checkpoint_parts.h"

#define THREADS 4 /* with the caller; more than a disk can follow */

struct cv_h5_hash {
    const uint8_t *data; /* or NULL: read from fd at addr */
    int fd;
    int64_t addr;
    size_t bytes, n_blocks;
    uint8_t (*sums)[32]; /* (n_blocks) */
    atomic_size_t next;  /* block that nobody has taken yet */
    atomic_int failed;   /* errno of a read, or EIO for an early end */
    int n_threads;
    pthread_t threads[THREADS - 1];
};

static int read_block(cv_h5_hash *h, int64_t addr, uint8_t *buf, size_t n)
{
    while (n) {
        ssize_t k = pread(h->fd, buf, n, addr);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            atomic_store(&h->failed, k < 0 ? errno : EIO);
            return -1;
        }
        buf += k;
        addr += k;
        n -= (size_t)k;
    }
    return 0;
}

/* Take blocks until there are none left. */
static void *work(void *arg)
{
    cv_h5_hash *h = arg;
    size_t most = h->bytes < CV_H5_BLOCK ? h->bytes : CV_H5_BLOCK;
    uint8_t *buf = h->data ? NULL : cv_calloc(most, 1);
    for (;;) {
        size_t i = atomic_fetch_add(&h->next, 1), at = i * CV_H5_BLOCK;
        if (i >= h->n_blocks || atomic_load(&h->failed))
            break;
        size_t left = h->bytes - at,
               n = left < CV_H5_BLOCK ? left : CV_H5_BLOCK;
        if (buf && read_block(h, h->addr + (int64_t)at, buf, n) != 0)
            break;
        cv_sha256_of(h->sums[i], buf ? buf : h->data + at, n);
    }
    free(buf);
    return NULL;
}

/* Processors this process may use: a rank bound to one core gains nothing. */
static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

cv_h5_hash *cv_h5_hash_start(const void *data, int fd, int64_t addr,
                             size_t bytes)
{
    cv_h5_hash *h = CV_NEW(1, cv_h5_hash);
    h->data = data;
    h->fd = fd;
    h->addr = addr;
    h->bytes = bytes;
    h->n_blocks = (bytes + CV_H5_BLOCK - 1) / CV_H5_BLOCK;
    h->sums = cv_calloc(h->n_blocks, 32);
    if (h->n_blocks < 2)
        return h;
    int most = processors();
    most = most < THREADS ? most : THREADS;
    while (h->n_threads < most - 1 &&
           pthread_create(&h->threads[h->n_threads], NULL, work, h) == 0)
        h->n_threads++;
    return h;
}

int cv_h5_hash_end(cv_h5_hash **ph, uint8_t sum[32])
{
    cv_h5_hash *h = *ph;
    work(h);
    for (int i = 0; i < h->n_threads; i++)
        CV_CHECK(pthread_join(h->threads[i], NULL) == 0);
    if (h->n_blocks == 1)
        memcpy(sum, h->sums[0], 32);
    else
        cv_sha256_of(sum, h->sums, h->n_blocks * 32);
    int rc = atomic_load(&h->failed);
    free(h->sums);
    CV_FREE(*ph);
    return rc;
}
