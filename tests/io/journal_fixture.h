/** Journals to test with: entries made from a number, a folder to work in.
 *
 *  To be included once, after cmocka.h.
 */
#ifndef COVEY_TESTS_JOURNAL_FIXTURE_H
#define COVEY_TESTS_JOURNAL_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "io/journal.h"
#define FOLDER_FILE "silo-north.journal"
#include "tests/io/folder_fixture.h"

static void fill(uint8_t out[32], uint64_t seed, int what)
{
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(seed * 31 + (uint64_t)(what * 7 + i));
    out[0] = (uint8_t)what;
    out[1] = (uint8_t)seed;
}

/* Every fourth entry is of the other kind. */
static cv_journal_entry entry_of(uint64_t seed)
{
    cv_journal_entry e = {.kind = CV_JOURNAL_ATTEMPT};
    int64_t n = (int64_t)seed;
    fill(e.run_id, seed / 8, 1);
    fill(e.job_digest, seed / 8, 2);
    fill(e.data, seed / 16, 3);
    fill(e.place, seed / 32, 4);
    fill(e.model, seed, 5);
    fill(e.members, seed, 6);
    e.round = n % 5;
    e.attempt = n + 1;
    e.draw = seed % 3 ? e.attempt : e.attempt / 2;
    if (seed % 4 == 3) {
        e.kind = CV_JOURNAL_SIGNED;
        fill(e.head, seed, 7);
        if (seed % 8 == 7)
            fill(e.supersedes, seed, 8);
        return e;
    }
    if (seed % 2)
        fill(e.vector, seed, 9);
    if (seed % 3)
        e.cost = (cv_journal_cost){.noise_multiplier = (double)(11 + n) / 10.0,
                                   .sampling = 0.01,
                                   .steps = 20 + n,
                                   .sensitivity = 65536.0 + 1.0 / 3.0,
                                   .shares = 3,
                                   .dimension = 159010,
                                   .sampler = 0x1p-112,
                                   .collusion = 1,
                                   .unit = (int32_t)(seed % 2)};
    return e;
}

static int same_cost(const cv_journal_cost *a, const cv_journal_cost *b)
{
    return a->noise_multiplier == b->noise_multiplier &&
           a->sampling == b->sampling && a->steps == b->steps &&
           a->sensitivity == b->sensitivity && a->shares == b->shares &&
           a->dimension == b->dimension && a->sampler == b->sampler &&
           a->collusion == b->collusion && a->unit == b->unit;
}

static int same(const cv_journal_entry *a, const cv_journal_entry *b)
{
    return a->kind == b->kind && memcmp(a->run_id, b->run_id, 32) == 0 &&
           memcmp(a->job_digest, b->job_digest, 32) == 0 &&
           memcmp(a->data, b->data, 32) == 0 &&
           memcmp(a->place, b->place, 32) == 0 && a->round == b->round &&
           a->attempt == b->attempt && a->draw == b->draw &&
           memcmp(a->model, b->model, 32) == 0 &&
           memcmp(a->members, b->members, 32) == 0 &&
           memcmp(a->vector, b->vector, 32) == 0 &&
           memcmp(a->head, b->head, 32) == 0 &&
           memcmp(a->supersedes, b->supersedes, 32) == 0 &&
           same_cost(&a->cost, &b->cost);
}

/* Does j hold entry_of(0), entry_of(1), ... n - 1, and nothing else? */
static int holds(const cv_journal *j, size_t n)
{
    size_t found;
    const cv_journal_entry *e = cv_journal_entries(j, &found);
    if (found != n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        cv_journal_entry want = entry_of(i);
        if (!same(e + i, &want))
            return 0;
    }
    return 1;
}

/* A new journal with n entries, closed again. */
static void make(size_t n)
{
    cv_journal *j = NULL;
    assert_true(unlink(file) == 0 || !cv_fs_exists(file));
    OK(cv_journal_open(file, &j, &err));
    for (size_t i = 0; i < n; i++) {
        cv_journal_entry e = entry_of(i);
        OK(cv_journal_append(j, &e, &err));
    }
    cv_journal_close(&j);
    assert_null(j);
}

/* The file's bytes as they are. (Inlined, gcc 12 takes them for its local.) */
static __attribute__((noinline)) char *content(size_t *len)
{
    char *text = NULL;
    OK(cv_fs_read(file, (size_t)1 << 30, &text, len, &err));
    return text;
}

/* In place, mode and all. */
static void replace(const char *text, size_t len)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_true(write(fd, text, len) == (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

/* What the end of a child says. */
static inline int exit_code(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif
