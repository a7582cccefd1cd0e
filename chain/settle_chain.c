/* What the chain says: blocks, the run at each of them, and what follows for
 * the states in the outbox. */
#include <string.h>

#include "chain/settle_parts.h"
#include "core/fs.h"

int cv_settle_check_node(cv_settler *s, cv_err *err)
{
    const cv_federation *f = &s->run.federation;
    int rc = cv_node_check_chain(s->rpc, f->chain_id, err);
    if (!rc)
        rc = cv_view_check_federation(s->rpc, f, err);
    return rc;
}

static int read_view(cv_settler *s, cv_view_run *out, cv_block_tag tag,
                     cv_err *err)
{
    return cv_view_run_at(s->rpc, out, &s->run.federation, s->run.on_chain, tag,
                          err);
}

/* The run there must be this one, and its head one of ours. */
static int check_view(const cv_settler *s, const cv_view_run *v, cv_err *err)
{
    if (!v->opened)
        return 0;
    if (memcmp(v->job, s->run.job, 32) != 0 || v->attesters != s->run.n ||
        v->collusion != s->run.collusion || v->quorum != s->quorum)
        return cv_err_set(
            err, CV_ERR_VERIFY, s->path, 0,
            "the run on the chain has %u attesters, collusion "
            "%u, quorum %u%s; expected %u, %u, %u",
            v->attesters, v->collusion, v->quorum,
            memcmp(v->job, s->run.job, 32) != 0 ? " and another job" : "",
            s->run.n, s->run.collusion, s->quorum);
    if (v->last > s->last)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "the chain has rounds up to %llu, this outbox ends "
                          "at %llu: it is an older copy; settle the newest "
                          "one, or resume the run first",
                          (unsigned long long)v->last,
                          (unsigned long long)s->last);
    if (v->last < s->base)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "the chain has rounds up to %llu, this outbox begins "
                          "after %llu: those between are missing; put back a "
                          "copy that has them",
                          (unsigned long long)v->last,
                          (unsigned long long)s->base);
    if (memcmp(v->head, cv_settle_head(s, v->last), 32) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "another record of round %llu, or of one before it, "
                          "was committed to the chain: the run folder was put "
                          "back after rounds were settled, or a superseded "
                          "attestation was relayed; rounds that the chain has "
                          "cannot be changed, so continue from the copy that "
                          "it has, or begin a new run",
                          (unsigned long long)v->last);
    return 0;
}

/* Remember when the run was first seen this far. */
static void sight(cv_settler *s)
{
    const cv_view_run *v = &s->now;
    while (s->n_sightings) {
        const cv_sighting *top = &s->sighting[s->n_sightings - 1];
        if (top->last < v->last ||
            (top->last == v->last && top->opened <= v->opened &&
             top->block <= s->latest.number))
            break;
        s->n_sightings--; /* re-organised */
    }
    if (s->n_sightings) {
        const cv_sighting *top = &s->sighting[s->n_sightings - 1];
        if (top->last == v->last && top->opened == v->opened)
            return;
    }
    if (s->n_sightings == CV_SIGHTINGS)
        memmove(s->sighting, s->sighting + 1,
                (size_t)--s->n_sightings * sizeof s->sighting[0]);
    s->sighting[s->n_sightings++] =
        (cv_sighting){s->latest.number, v->last, v->opened};
}

uint64_t cv_settle_mined(const cv_settler *s, int *opened)
{
    uint64_t deep = (uint64_t)s->net->confirmations, last = 0;
    *opened = 0;
    for (int i = 0; i < s->n_sightings; i++)
        if (s->sighting[i].block + deep <= s->latest.number) {
            *opened = s->sighting[i].opened;
            last = s->sighting[i].last;
        }
    for (size_t i = 0; i < s->n_tx; i++) {
        const cv_outbox_tx *t = &s->tx[i];
        if (t->state < CV_TX_MINED || t->state > CV_TX_FINAL)
            continue;
        if (t->kind == CV_TX_OPEN || t->kind == CV_TX_ROUNDS)
            *opened = 1;
        if (t->kind == CV_TX_ROUNDS && t->last > last)
            last = t->last;
    }
    *opened &= s->now.opened;
    return last < s->now.last ? last : s->now.last;
}

int cv_settle_look(cv_settler *s, cv_err *err)
{
    int found;
    uint64_t before = s->now.last + (uint64_t)s->now.opened;
    int rc = cv_node_block(s->rpc, &s->latest, &found, CV_BLOCK_LATEST, err);
    if (!rc)
        rc = read_view(s, &s->now, CV_BLOCK_LATEST, err);
    /* Whoever lost a race lost it to somebody's progress. */
    if (!rc && s->now.last + (uint64_t)s->now.opened != before) {
        s->overtaken_at = 0;
        s->reverts = 0;
    }
    if (!rc)
        rc = check_view(s, &s->now, err);
    if (rc)
        return rc;
    sight(s);
    s->report->on_chain = s->now.last;
    memcpy(s->report->head, s->now.head, 32);
    /* Older blocks move seldom; asking costs as much. */
    double now = cv_now();
    if (s->slow_at && now - s->slow_at < 1)
        return 0;
    s->slow_at = now;
    rc = cv_node_block(s->rpc, &s->safe, &s->has_safe, CV_BLOCK_SAFE, err);
    if (!rc && s->has_safe)
        rc = read_view(s, &s->at_safe, CV_BLOCK_SAFE, err);
    if (!rc)
        rc = check_view(s, &s->at_safe, err);
    if (!rc)
        rc = cv_node_block(s->rpc, &s->final, &s->has_final, CV_BLOCK_FINALIZED,
                           err);
    if (!rc && s->has_final)
        rc = read_view(s, &s->at_final, CV_BLOCK_FINALIZED, err);
    if (!rc)
        rc = check_view(s, &s->at_final, err);
    if (!rc)
        rc = cv_settle_mark_epochs(s, err);
    return rc;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

int cv_settle_mark(cv_settler *s, cv_err *err)
{
    int mined;
    uint64_t level[5];
    level[0] = s->at_final.last;
    level[1] = larger(level[0], s->at_safe.last);
    level[2] = larger(level[1], cv_settle_mined(s, &mined));
    level[3] = larger(level[2], s->now.last);
    cv_outbox_state opening = s->at_final.opened  ? CV_OUTBOX_FINAL
                              : s->at_safe.opened ? CV_OUTBOX_SAFE
                              : mined             ? CV_OUTBOX_MINED
                              : s->now.opened     ? CV_OUTBOX_SENT
                                                  : CV_OUTBOX_QUEUED;
    for (size_t i = 0; i < s->n_tx; i++) {
        const cv_outbox_tx *t = &s->tx[i];
        if (t->state != CV_TX_SENT)
            continue;
        if (t->kind == CV_TX_ROUNDS)
            level[3] = larger(level[3], t->last);
        if (t->kind == CV_TX_OPEN && opening == CV_OUTBOX_QUEUED)
            opening = CV_OUTBOX_SENT;
    }
    level[4] = (uint64_t)opening;
    s->report->opening = opening;
    if (s->marked && memcmp(level, s->level, sizeof level) == 0)
        return 0;
    int rc = cv_outbox_mark_levels(s->o, opening, level,
                                   s->marked ? s->level[0] : 0, err);
    memcpy(s->level, level, sizeof level);
    s->marked = !rc;
    return rc;
}
