/* Who takes part, under which keys: PROTOCOL, "One attempt of a round", steps 1
 * and 2, and "Attempts, crashes, replays". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "jobs/join.h"
#include "jobs/round_groups.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/reduce.h"
#include "privacy/mask_graph.h"

cv_journal *cv_attempt_journal(const cv_run *run, int s)
{
    const cv_secure *sec = run->secure;
    if (!run->job->simulate.enabled)
        return sec->party[s].journal;
    return s == 0 ? sec->journal : NULL; /* NULL but at the root */
}

/* Last attempt at this very round; 0 is the preparation. */
const cv_journal_entry *cv_attempt_last(const cv_journal *j,
                                        const uint8_t run_id[32], int64_t round)
{
    size_t n = 0;
    const cv_journal_entry *e = j ? cv_journal_entries(j, &n) : NULL;
    while (n-- > 0)
        if (e[n].kind == CV_JOURNAL_ATTEMPT && e[n].round == round &&
            memcmp(e[n].run_id, run_id, 32) == 0)
            return &e[n];
    return NULL;
}

/* ---- who is in ----------------------------------------------------------------
 */

static int larger_first(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

/* Members less those of the t largest operators. */
static int count_honest(const cv_run *run, const cv_attempt *at)
{
    const cv_secure *sec = run->secure;
    int *size = CV_NEW(run->fed.n_silos, int), honest = at->n;
    for (int k = 0; k < at->n; k++)
        size[sec->operator_of[at->member[k]]]++;
    qsort(size, (size_t)run->fed.n_silos, sizeof *size, larger_first);
    for (int k = 0; k < sec->collusion && k < run->fed.n_silos; k++)
        honest -= size[k];
    free(size);
    return honest;
}

static int check_members(const cv_run *run, const cv_attempt *at, cv_err *err)
{
    int t = run->secure->collusion;
    if (at->n < run->job->training.min_silos)
        return cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                          "round %lld: expected at least %d silos, %d were "
                          "ready",
                          (long long)at->round, run->job->training.min_silos,
                          at->n);
    if (at->n < t + 2)
        return cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                          "round %lld: a masked sum needs at least %d silos "
                          "(secure_aggregation.collusion %d, and 2), %d were "
                          "ready",
                          (long long)at->round, t + 2, t, at->n);
    if (at->honest < 2)
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "round %lld: silos of one process count as one "
                          "operator; if %d operator%s colluded, %d of %d silos "
                          "would be left, and 2 are needed; give each site a "
                          "rank of its own",
                          (long long)at->round, t, t == 1 ? "" : "s",
                          at->honest > 0 ? at->honest : 0, at->n);
    return 0;
}

/* The attempt's number and its members follow from what all have said. */
static void count_members(cv_joining *j, int32_t *status)
{
    const cv_run *run = j->run;
    cv_attempt *at = j->at;
    int n = run->fed.n_silos;
    at->member = CV_NEW(n, int);
    for (int i = 0; i < n; i++) {
        int64_t last = (int64_t)cv_get_le64(j->all[i].last_attempt);
        status[i] = j->all[i].status;
        at->attempt = last > at->attempt ? last : at->attempt;
        if (status[i] == CV_SILO_READY)
            at->member[at->n++] = i;
    }
    at->draw = ++at->attempt;
    cv_members_digest(at->members, run->job, run->secure->identity, at->member,
                      at->n, at->round ? cv_groups_of_round(run) : 1);
    at->honest = count_honest(run, at);
}

/* Did all members that keep a journal spend the same attempt last? */
static int same_last(const cv_joining *j, const cv_join_msg **last)
{
    *last = NULL;
    for (int k = 0; k < j->at->n; k++) {
        const cv_join_msg *m = &j->all[j->at->member[k]];
        if (!m->has_last && j->run->job->simulate.enabled)
            continue; /* the root's journal stands for all */
        if (!m->has_last)
            return 0;
        if (!*last)
            *last = m;
        if (memcmp((*last)->last_attempt, m->last_attempt, 8) ||
            memcmp((*last)->draw, m->draw, 8) ||
            memcmp((*last)->members, m->members, 32) ||
            memcmp((*last)->model, m->model, 32))
            return 0;
    }
    return *last != NULL;
}

/* A round that was spent before: with privacy the same noise may be used again
 * by the same members from the same model; without, another roster would show
 * the difference of two sums, so the roster must stay. */
static int follow_last(cv_joining *j, int replay, cv_err *err)
{
    cv_attempt *at = j->at;
    const cv_join_msg *last;
    int same =
        same_last(j, &last) && memcmp(last->members, at->members, 32) == 0;
    if (replay && same && memcmp(last->model, j->run->secure->model, 32) == 0)
        at->draw = (int64_t)cv_get_le64(last->draw);
    if (j->run->job->privacy.enabled)
        return 0;
    for (int k = 0; k < at->n; k++) {
        const cv_join_msg *m = &j->all[at->member[k]];
        if (m->has_last && memcmp(m->members, at->members, 32) != 0)
            return cv_err_set(
                err, CV_REQUEUE, NULL, 0,
                "round %lld was summed before over other silos (or other "
                "groups "
                "of them); without privacy noise the difference of two sums "
                "would show single silos. Run again with --resume when the "
                "same silos are ready, with the same rounds in the job",
                (long long)at->round);
    }
    return 0;
}

/* ---- pair keys ----------------------------------------------------------------
 */

static int slot_of(const cv_attempt *at, int silo)
{
    int lo = 0, hi = at->n;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (at->member[mid] < silo)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < at->n && at->member[lo] == silo ? lo : -1;
}

int cv_attempt_has(const cv_attempt *at, int silo)
{
    return slot_of(at, silo) >= 0;
}

static void graph_seed(const cv_joining *j, uint8_t seed[32])
{
    const cv_attempt *at = j->at;
    cv_part *part = CV_NEW(at->n + 1, cv_part);
    part[0] = (cv_part){at->proof.roster, 32};
    for (int k = 0; k < at->n; k++)
        part[k + 1] = (cv_part){j->signed_[at->member[k]].nonce, 32};
    cv_tagged_hash(seed, "covey mask graph v1", part, (size_t)at->n + 1);
    free(part);
}

static int agree_pairs(cv_joining *j, int s, double p, const uint8_t seed[32],
                       cv_err *err)
{
    cv_run *run = j->run;
    cv_attempt *at = j->at;
    cv_pairs *pairs = &at->pairs[s];
    int slot = slot_of(at, run->hosted[s].index), rc = 0;
    if (slot < 0)
        return 0;
    pairs->peer = CV_NEW(at->n, int);
    pairs->n = cv_mask_graph_peers(pairs->peer, at->n, slot, p, seed);
    pairs->slot = slot;
    pairs->secret = cv_secret_alloc(32 * (size_t)(pairs->n ? pairs->n : 1));
    uint8_t *shared = cv_secret_alloc(32);
    for (int k = 0; k < pairs->n && !rc; k++) {
        cv_pubkey pub;
        memcpy(pub.b, j->all[at->member[pairs->peer[k]]].ephemeral,
               sizeof pub.b);
        rc = cv_seckey_agree(j->ephemeral[s], shared, &pub, err);
        cv_hkdf_extract(pairs->secret + 32 * k, shared, 32, at->proof.roster,
                        32);
    }
    cv_secret_free(shared);
    return rc;
}

static int make_pairs(cv_joining *j, cv_err *err)
{
    cv_attempt *at = j->at;
    uint8_t seed[32];
    int rc = 0;
    double p = cv_mask_graph_p(at->n, at->honest);
    graph_seed(j, seed);
    at->n_pairs = j->run->fed.n_hosted;
    at->pairs = CV_NEW(at->n_pairs, cv_pairs);
    for (int s = 0; s < j->run->fed.n_hosted && !rc; s++)
        rc = agree_pairs(j, s, p, seed, err);
    return rc;
}

/* ---- the whole ----------------------------------------------------------------
 */

static int begin_on_leader(cv_joining *j, int64_t round, int32_t *status,
                           int replay, cv_err *err)
{
    cv_run *run = j->run;
    int rc = cv_join(j, round, status, err);
    /* Whoever fails alone must not leave the others waiting in the next
     * gather. */
    rc = cv_agree_all(run->fed.leaders, rc, err);
    if (rc)
        return rc;
    count_members(j, status);
    rc = check_members(run, j->at, err);
    if (!rc)
        rc = follow_last(j, replay, err);
    /* The same everywhere, unless a silo signed one message for some and another
     * for others. */
    rc = cv_agree_all(run->fed.leaders, rc, err);
    if (rc)
        return rc;
    cv_roster_digest(j);
    rc = cv_roster_sign(j, err);
    rc = cv_agree_all(run->fed.leaders, rc, err);
    return rc ? rc : make_pairs(j, err);
}

static void begin_unmasked(cv_run *run, cv_attempt *at, int32_t *status)
{
    int n = run->fed.n_silos;
    uint8_t *mine = CV_NEW(run->fed.n_hosted, uint8_t);
    uint8_t *all = CV_NEW(n, uint8_t);
    for (int s = 0; s < run->fed.n_hosted; s++)
        mine[s] = (uint8_t)status[run->hosted[s].index];
    cv_gather_messages_all(&run->fed, all, mine, 1);
    at->member = CV_NEW(n, int);
    for (int i = 0; i < n; i++) {
        status[i] = all[i];
        if (status[i] == CV_SILO_READY)
            at->member[at->n++] = i;
    }
    at->honest = at->n;
    free(mine);
    free(all);
}

/* The other ranks of a shared silo train with it. */
static void share_attempt_all(const cv_run *run, cv_attempt *at,
                              int32_t *status)
{
    int64_t v[4] = {at->attempt, at->draw, at->n, at->honest};
    size_t n = (size_t)run->fed.n_silos;
    cv_bcast_bytes_all(run->fed.silo, v, sizeof v, 0);
    if (!at->member)
        at->member = CV_NEW(n, int);
    at->attempt = v[0];
    at->draw = v[1];
    at->n = (int)v[2];
    at->honest = (int)v[3];
    cv_bcast_bytes_all(run->fed.silo, at->member, n * sizeof *at->member, 0);
    cv_bcast_bytes_all(run->fed.silo, status, n * sizeof *status, 0);
    cv_bcast_bytes_all(run->fed.silo, at->members, sizeof at->members, 0);
}

int cv_attempt_begin_all(cv_run *run, cv_attempt *at, int64_t round,
                         int32_t *status, int replay, cv_err *err)
{
    int hosted = run->fed.n_hosted, n = run->fed.n_silos, rc = 0;
    int leader = cv_fed_is_leader(&run->fed);
    *at = (cv_attempt){.round = round};
    if (leader && !run->secure->masks) {
        begin_unmasked(run, at, status);
        rc = at->n < run->job->training.min_silos || at->n < 1
                 ? cv_err_set(err, CV_ERR_SILOS, NULL, 0,
                              "round %lld: expected at least %d silos, %d were "
                              "ready",
                              (long long)round, run->job->training.min_silos,
                              at->n)
                 : 0;
    } else if (leader) {
        cv_joining j = {.run = run,
                        .at = at,
                        .ephemeral = CV_NEW(hosted, cv_seckey *),
                        .nonce = CV_NEW(32 * (size_t)hosted, uint8_t),
                        .mine = CV_NEW(hosted, cv_join_msg),
                        .all = CV_NEW(n, cv_join_msg),
                        .signed_ = CV_NEW(n, cv_roster_msg)};
        rc = begin_on_leader(&j, round, status, replay, err);
        for (int s = 0; s < hosted; s++)
            cv_seckey_destroy(&j.ephemeral[s]);
        free(j.ephemeral);
        free(j.nonce);
        free(j.mine);
        free(j.all);
        free(j.signed_);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc && run->fed.n_parts > 1)
        share_attempt_all(run, at, status);
    return rc;
}

/* ---- the journals -------------------------------------------------------------
 */

/* Fits without noise start where no silo can choose, whatever their formula: for
 * the journal they are all from one model, so that no two of them are over
 * different partners. */
static void fit_start(uint8_t model[32])
{
    cv_tagged_hash(model, "covey fit without noise v1", NULL, 0);
}

int cv_attempt_is_fit(const cv_journal_entry *e)
{
    uint8_t model[32];
    fit_start(model);
    return memcmp(e->model, model, 32) == 0;
}

static void start_of(const cv_run *run, uint8_t model[32])
{
    if (run->fit && !run->job->privacy.enabled)
        fit_start(model);
    else
        memcpy(model, run->secure->model, 32);
}

static void fill_entry(const cv_run *run, const cv_attempt *at,
                       const cv_party *p, cv_journal_entry *e)
{
    *e = (cv_journal_entry){.kind = CV_JOURNAL_ATTEMPT,
                            .round = at->round,
                            .attempt = at->attempt,
                            .draw = at->draw};
    memcpy(e->run_id, run->run_id, 32);
    memcpy(e->job_digest, run->job->digest, 32);
    memcpy(e->data, p->data, 32);
    memcpy(e->place, p->place, 32);
    start_of(run, e->model);
    memcpy(e->members, at->members, 32);
}

/* Simulated: the digest of all silos' vectors, in their order. */
static void pool_vectors(const cv_run *run, const uint8_t *vectors,
                         uint8_t out[32])
{
    int n = run->fed.n_silos;
    uint8_t *all = CV_NEW(32 * (size_t)n, uint8_t);
    cv_gather_messages_all(&run->fed, all, vectors, 32);
    cv_part part[] = {{all, 32 * (size_t)n}};
    cv_tagged_hash(out, "covey simulated vectors v1", part, 1);
    free(all);
}

/* Without noise: these data, from this very model, were in a sum before. With
 * other partners, or with other rows, the difference of the two sums would be
 * that of single silos, or rows; in this run or in another. */
static int check_difference(const cv_run *run, const cv_attempt *at,
                            const cv_hosted *h, const cv_party *p, cv_err *err)
{
    size_t n;
    uint8_t start[32];
    const cv_journal_entry *e = cv_journal_entries(p->journal, &n);
    start_of(run, start);
    for (size_t i = 0; i < n; i++) {
        if (e[i].kind != CV_JOURNAL_ATTEMPT || e[i].cost.steps > 0 ||
            !cv_journal_same_data(&e[i], p->data, p->place) ||
            memcmp(e[i].model, start, 32) != 0)
            continue;
        /* Which rows were in a fit, jobs/disclosure_rows.c knows. */
        if (memcmp(e[i].members, at->members, 32) == 0 &&
            (run->fit || memcmp(e[i].data, p->data, 32) == 0))
            continue;
        return cv_err_set(
            err, CV_ERR_PRIVACY, NULL, 0,
            "silo %s: round %lld would sum its data without privacy noise "
            "from a model from which %s been summed before (its journal "
            "says); the difference of the two sums would show single %s. Use "
            "`privacy`, or another model%s",
            h->name, (long long)at->round,
            memcmp(e[i].members, at->members, 32) ? "they have, with other "
                                                    "partners, weights or "
                                                    "groups,"
                                                  : "other rows of it have",
            memcmp(e[i].members, at->members, 32) ? "silos" : "rows",
            at->round ? "" : " (or `standardize: bounds`)");
    }
    return 0;
}

int cv_attempt_spend_all(cv_run *run, const cv_attempt *at,
                         const cv_journal_cost *cost, const uint8_t *vectors,
                         cv_err *err)
{
    int simulated = run->job->simulate.enabled, rc = 0;
    int leader = cv_fed_is_leader(&run->fed) && run->secure->masks;
    uint8_t pooled[32] = {0};
    if (leader && simulated && vectors)
        pool_vectors(run, vectors, pooled);
    for (int s = 0; leader && s < run->fed.n_hosted && !rc; s++) {
        cv_journal *journal = cv_attempt_journal(run, s);
        cv_journal_entry e;
        if (!journal ||
            (!simulated && !cv_attempt_has(at, run->hosted[s].index)))
            continue;
        fill_entry(run, at, &run->secure->party[s], &e);
        if (cost && at->draw == at->attempt)
            e.cost = *cost;
        if (vectors)
            memcpy(e.vector, simulated ? pooled : vectors + 32 * s, 32);
        if (!simulated && !run->job->privacy.enabled)
            rc = check_difference(run, at, &run->hosted[s],
                                  &run->secure->party[s], err);
        if (rc)
            break;
        rc = cv_journal_append(journal, &e, err);
        if (rc)
            cv_site_error(run, &run->hosted[s], err);
    }
    return cv_agree_all(run->fed.world, rc, err);
}

int cv_attempt_same_vectors_all(cv_run *run, const cv_attempt *at,
                                const uint8_t *vectors)
{
    int differ = 0;
    int leader = cv_fed_is_leader(&run->fed), simulated;
    simulated = run->job->simulate.enabled;
    uint8_t pooled[32] = {0};
    if (leader && simulated)
        pool_vectors(run, vectors, pooled);
    for (int s = 0; leader && s < run->fed.n_hosted; s++) {
        const cv_journal *journal = cv_attempt_journal(run, s);
        const cv_journal_entry *e =
            cv_attempt_last(journal, run->run_id, at->round);
        if (!journal ||
            (!simulated && !cv_attempt_has(at, run->hosted[s].index)))
            continue;
        differ |= !e || memcmp(e->vector, simulated ? pooled : vectors + 32 * s,
                               32) != 0;
    }
    cv_err why;
    cv_err_set(&why, CV_ERR_VERIFY, NULL, 0,
               "round %lld was spent before with another vector, and the same "
               "noise must not be used again",
               (long long)at->round);
    cv_vote_all(run->fed.world, &differ, 1, &why);
    return !differ;
}

void cv_attempt_end(cv_attempt *at)
{
    for (int s = 0; s < at->n_pairs; s++) {
        cv_secret_free(at->pairs[s].secret);
        free(at->pairs[s].peer);
    }
    free(at->pairs);
    free(at->member);
    cv_proof_free(&at->proof);
    *at = (cv_attempt){0};
}
