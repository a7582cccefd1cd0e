/** A run, rounds and an epoch with invented bytes, for tests of the outbox. */
#ifndef COVEY_TESTS_OUTBOX_FIXTURE_H
#define COVEY_TESTS_OUTBOX_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/outbox.h"
#include "core/mem.h"

static inline void fill(void *out, size_t n, uint32_t seed)
{
    uint8_t *b = out;
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
}

static inline cv_outbox_run a_run(uint32_t n, uint32_t seed)
{
    cv_outbox_run run = {.n = n, .collusion = 1, .simulated = 1};
    fill(run.run_id, 32, seed);
    fill(run.job, 32, seed + 1);
    run.federation.chain_id = 84532;
    fill(&run.federation.contract, 20, seed + 2);
    strcpy(run.network, "base-sepolia");
    run.silos = CV_NEW(n, cv_outbox_silo);
    for (uint32_t i = 0; i < n; i++) {
        cv_outbox_silo *s = &run.silos[i];
        snprintf(s->name, sizeof s->name, "silo-%u", i);
        fill(&s->identity, sizeof s->identity, seed + 10 + i);
        fill(&s->attester, sizeof s->attester, seed + 300 + i);
        fill(&s->binding, sizeof s->binding, seed + 600 + i);
        fill(&s->opening, sizeof s->opening, seed + 900 + i);
    }
    cv_address *attesters = CV_NEW(n, cv_address);
    cv_run_terms terms;
    cv_outbox_terms(&terms, attesters, &run);
    cv_chain_run_id(run.on_chain, &terms);
    free(attesters);
    return run;
}

/* The head after a round; round r of another `seed` is another one. */
static inline void head_of(uint8_t out[32], uint64_t round, uint32_t seed)
{
    fill(out, 32, seed * 1000003u + (uint32_t)round * 7u + 5u);
}

static inline cv_outbox_rounds some_rounds(uint32_t n, uint64_t first,
                                           uint64_t last, uint32_t seed)
{
    cv_outbox_rounds r = {.first = first, .last = last};
    r.records = CV_NEW((last - first + 1) * 32, uint8_t);
    for (uint64_t i = first; i <= last; i++)
        fill(r.records + (i - first) * 32, 32, seed * 131u + (uint32_t)i);
    head_of(r.before, first - 1, seed);
    head_of(r.after, last, seed);
    r.sigs = CV_NEW(n, cv_sig);
    fill(r.sigs, n * sizeof *r.sigs, seed + (uint32_t)last);
    return r;
}

static inline cv_outbox_epoch an_epoch(const cv_outbox_run *run, uint64_t epoch,
                                       uint32_t version, uint64_t round,
                                       uint32_t leaves)
{
    cv_outbox_epoch e = {.round = round};
    memcpy(e.epoch.run_id, run->on_chain, 32);
    e.epoch.epoch = epoch;
    e.epoch.version = version;
    e.epoch.leaves = leaves;
    fill(e.epoch.head, 32, 70);
    fill(e.epoch.root, 32, 71);
    fill(&e.epoch.sponsor, 20, 72);
    fill(&e.epoch.token, 20, 73);
    fill(&e.epoch.total, 32, 74);
    e.payee = CV_NEW(leaves, cv_address);
    e.amount = CV_NEW(leaves, cv_u256);
    e.sigs = CV_NEW(run->n, cv_sig);
    fill(e.payee, leaves * sizeof *e.payee, 75);
    fill(e.amount, leaves * sizeof *e.amount, 76);
    fill(e.sigs, run->n * sizeof *e.sigs, 77 + version);
    return e;
}

#endif
