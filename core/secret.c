#include "core/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"

enum { HEAD = 64 }; /* the mapping's size, in front of the secret */

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static size_t n_alive;
static rlim_t core_before;

/* Limit 1, not 0: the kernel ignores 0 where core dumps go to a program
 * (systemd-coredump, apport), and takes 1 as "none"; in a file one byte is too
 * few for a dump to be started. */
static void core_dumps_off(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_CORE, &r) != 0)
        return;
    core_before = r.rlim_cur;
    r.rlim_cur = r.rlim_max < 1 ? r.rlim_max : 1;
    setrlimit(RLIMIT_CORE, &r);
}

static void core_dumps_back(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_CORE, &r) != 0)
        return;
    r.rlim_cur = core_before;
    setrlimit(RLIMIT_CORE, &r);
}

void *cv_secret_alloc(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    CV_CHECK(n < SIZE_MAX - HEAD - page);
    size_t size = (n + HEAD + page - 1) / page * page;
    pthread_mutex_lock(&guard);
    if (n_alive++ == 0)
        core_dumps_off();
    pthread_mutex_unlock(&guard);
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "covey: error: out of memory for a secret\n");
        abort();
    }
    /* Best effort: a small limit on locked memory is no reason to stop, and
     * an old kernel may not know all of the advice. */
    (void)mlock(p, size);
    (void)madvise(p, size, MADV_DONTDUMP);
    (void)madvise(p, size, MADV_WIPEONFORK);
    *(size_t *)(void *)p = size;
    return p + HEAD;
}

void cv_secret_free(void *p)
{
    if (!p)
        return;
    uint8_t *base = (uint8_t *)p - HEAD;
    size_t size = *(size_t *)(void *)base;
    if (size == 0) /* in a forked child, where it was wiped */
        return;
    cv_wipe(base, size);
    CV_CHECK(munmap(base, size) == 0);
    pthread_mutex_lock(&guard);
    if (--n_alive == 0)
        core_dumps_back();
    pthread_mutex_unlock(&guard);
}

void cv_entropy(void *out, size_t n)
{
    uint8_t *p = out;
    while (n) {
        ssize_t k = getrandom(p, n < 256 ? n : 256, 0);
        if (k < 0 && errno == EINTR)
            continue;
        CV_CHECK(k > 0);
        p += k;
        n -= (size_t)k;
    }
}

void cv_secret_seal_process(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
