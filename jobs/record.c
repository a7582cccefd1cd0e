/* The record of a round: what its members saw, linked to the record before it,
 * and signed by every silo once the checkpoint that goes with it is durable
 * (PROTOCOL, "One attempt of a round", step 8). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/tagged.h"
#include "jobs/attest.h"
#include "jobs/budget.h"
#include "jobs/join.h"
#include "jobs/round.h"
#include "jobs/secure.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/messages.h"
#include "solver/params.h"

/* Whoever has another of these than the others is found out when it joins the
 * next round, for the digest is signed with the key message. */
void cv_record_state(cv_run *run)
{
    cv_secure *sec = run->secure;
    const cv_budget *b = run->budget;
    const cv_strategy *st = run->strategy;
    const double real[4] = {b->multiplier, b->clip, b->sensitivity,
                            b->update_clip};
    const int whole[4] = {b->bits, b->exponent, b->update_exponent, sec->wide};
    size_t n = 0;
    if (sec->model_round == 0 || sec->model_round != run->round)
        cv_run_model_root(run, sec->model);
    if (!cv_fed_is_leader(&run->fed))
        return;
    for (int k = 0; k < st->n_server; k++)
        cv_params_root(sec->server[k], run->server_state[k], run->n);
    const cv_segment *spent =
        run->job->privacy.enabled ? cv_accountant_segments(b->spent, &n) : NULL;
    cv_ledger_digest(sec->ledger, spent, n);
    for (int k = 0; k < 4; k++) {
        uint64_t bits;
        memcpy(&bits, &real[k], sizeof bits);
        cv_put_le64(sec->plan + 8 * k, bits);
        cv_put_le64(sec->plan + 32 + 8 * k, (uint64_t)(int64_t)whole[k]);
    }
    cv_chain_state paid = {cv_attest_span(run), run->taken, run->fed.n_silos,
                           sec->coalition, sec->n_coalitions};
    if (paid.span)
        cv_paid_digest(sec->paid, &paid);
    cv_state_digest(sec->state, sec->server, sec->ledger, sec->plan,
                    paid.span ? sec->paid : NULL);
}

/* Kept for run.h5, with what the chain needs to go on from here. */
static void add_proof(cv_run *run, cv_proof *p)
{
    cv_proofs *all = &run->secure->proofs;
    all->n_silos = run->fed.n_silos;
    cv_proofs_add(all, p);
    if (run->secure->attest) {
        all->attested[all->n - 1].span = run->secure->attest->span;
        memcpy(all->attested[all->n - 1].after, run->secure->attest->head, 32);
    }
}

void cv_record_round(cv_run *run, cv_attempt *at, const cv_history_row *h)
{
    cv_secure *sec = run->secure;
    cv_proof *p = &at->proof;
    cv_attest_round(run);
    cv_record_state(run);
    memcpy(p->model, sec->model, 32);
    memcpy(p->server, sec->server, sizeof p->server);
    memcpy(p->ledger, sec->ledger, 32);
    memcpy(p->plan, sec->plan, sizeof p->plan);
    memcpy(p->paid, sec->paid, 32);
    p->n_silos = h->n_silos;
    p->train_loss = h->train_loss;
    p->update = h->update;
    memcpy(p->metrics, h->metrics, sizeof p->metrics);
    memcpy(p->data, sec->data, 32);
    cv_proof_leaves(p->leaves, p, run->run_id, run->job->digest);
    cv_proof_root(p->record, p->leaves);
    memcpy(sec->head, p->record, 32);
    sec->attempt = at->attempt;
    sec->left_out = at->n - at->honest;
    cv_attest_record(run, p->record);
    if (run->fed.rank == 0 && sec->masks)
        add_proof(run, p);
}

static void fill_record(const cv_run *run, const cv_party *p, int kind,
                        cv_journal_entry *e)
{
    *e = (cv_journal_entry){.kind = (cv_journal_kind)kind,
                            .round = run->round,
                            .attempt = run->secure->attempt,
                            .draw = run->secure->attempt};
    memcpy(e->run_id, run->run_id, 32);
    memcpy(e->job_digest, run->job->digest, 32);
    memcpy(e->data, p->data, 32);
    memcpy(e->place, p->place, 32);
    memcpy(e->model, run->secure->model, 32);
    memcpy(e->head, run->secure->head, 32);
}

/* Did this silo compute this very record, with this model and state? */
static int has_computed(const cv_run *run, const cv_journal *j)
{
    const cv_secure *sec = run->secure;
    size_t n;
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    while (n-- > 0)
        if (e[n].kind == CV_JOURNAL_COMPUTED && e[n].round == run->round &&
            memcmp(e[n].run_id, run->run_id, 32) == 0 &&
            memcmp(e[n].head, sec->head, 32) == 0)
            return memcmp(e[n].model, sec->model, 32) == 0 &&
                   memcmp(e[n].vector, sec->state, 32) == 0;
    return 0;
}

int cv_note_record_all(cv_run *run, cv_err *err)
{
    int rc = 0;
    if (!run->secure || !run->secure->masks || run->round == 0)
        return 0;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
        cv_journal *j = cv_attempt_journal(run, s);
        cv_journal_entry e;
        if (!j || !cv_fed_is_leader(&run->fed) || has_computed(run, j))
            continue;
        fill_record(run, &run->secure->party[s], CV_JOURNAL_COMPUTED, &e);
        memcpy(e.vector, run->secure->state, 32);
        rc = cv_journal_append(j, &e, err);
        if (rc)
            cv_site_error(run, &run->hosted[s], err);
    }
    return cv_agree_all(run->fed.world, rc, err);
}

/* ---- signing ------------------------------------------------------------------
 */

typedef struct {
    uint8_t supersedes[32], sig[CV_SIG_BYTES];
} record_msg;

/* What the silo signed last of this very round, or NULL. */
static const cv_journal_entry *signed_before(const cv_run *run,
                                             const cv_journal *j)
{
    size_t n;
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    while (n-- > 0)
        if (e[n].kind == CV_JOURNAL_SIGNED && e[n].round == run->round &&
            memcmp(e[n].run_id, run->run_id, 32) == 0)
            return &e[n];
    return NULL;
}

/* A silo signs one record of a round. A later attempt may replace it as long as
 * no child of it was signed, and says what it replaces. */
static int note_signing(cv_run *run, cv_journal *j, cv_party *p,
                        const char *name, uint8_t supersedes[32], cv_err *err)
{
    const cv_journal_entry *last = cv_journal_last_signed(j, run->run_id);
    const cv_journal_entry *before = signed_before(run, j);
    cv_journal_entry e;
    if (before && memcmp(before->head, run->secure->head, 32) == 0) {
        if (memcmp(before->model, run->secure->model, 32) != 0)
            return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "silo %s has signed round %lld with another "
                              "model than the checkpoint holds; restore the "
                              "checkpoint that the run has saved, or begin a "
                              "new run",
                              name, (long long)run->round);
        memcpy(supersedes, before->supersedes, 32);
        return 0; /* the same signature again */
    }
    /* A record that was superseded is not signed again either. */
    if (last && (last->round > run->round ||
                 (before && before->attempt >= run->secure->attempt)))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "silo %s has signed round %lld of this run already "
                          "and does not sign round %lld anew; the run folder "
                          "was put back to an older state: restore the newest "
                          "checkpoint, or begin a new run",
                          name, (long long)last->round, (long long)run->round);
    /* What was signed between the checkpoint that the run goes on from and this
     * round is replaced as well. */
    if (before)
        memcpy(supersedes, before->head, 32);
    else if (p->has_lost)
        memcpy(supersedes, p->lost, 32);
    p->has_lost = 0;
    fill_record(run, p, CV_JOURNAL_SIGNED, &e);
    memcpy(e.supersedes, supersedes, 32);
    return cv_journal_append(j, &e, err);
}

static int sign_hosted(cv_run *run, record_msg *mine, cv_err *err)
{
    cv_secure *sec = run->secure;
    int rc = 0;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
        const cv_hosted *h = &run->hosted[s];
        cv_journal *j = cv_attempt_journal(run, s);
        uint8_t digest[32];
        cv_sig sig;
        if (j) {
            rc = note_signing(run, j, &sec->party[s], h->name,
                              mine[s].supersedes, err);
            if (rc && rc != CV_ERR_VERIFY)
                cv_site_error(run, h, err);
        }
        cv_record_signing(digest, run->run_id, run->round, sec->head,
                          mine[s].supersedes);
        cv_seckey_sign(sec->party[s].key, &sig, digest);
        memcpy(mine[s].sig, sig.b, sizeof sig.b);
    }
    return rc;
}

static int verify_all(const cv_run *run, const record_msg *all, cv_err *err)
{
    int rc = 0;
    for (int i = 0; i < run->fed.n_silos && !rc; i++) {
        uint8_t digest[32];
        cv_sig sig;
        cv_record_signing(digest, run->run_id, run->round, run->secure->head,
                          all[i].supersedes);
        memcpy(sig.b, all[i].sig, sizeof sig.b);
        rc = cv_sig_verify(&sig, &run->secure->identity[i], digest, err);
        if (rc)
            cv_err_prefix(err,
                          "round %lld: silo %s has not signed the record that "
                          "this rank computed",
                          (long long)run->round, run->job->silos[i].name);
    }
    return rc;
}

/* RUN/records.log: a line a silo and round, for whoever checks the run later.
 * Lines of rounds that were lost stay; a later line names what it replaces. */
static int keep_signatures(const cv_run *run, const record_msg *all,
                           cv_err *err)
{
    char *path = cv_fs_join(run->dir, "records.log");
    char head[65], old[65], sig[2 * CV_SIG_BYTES + 1];
    cv_buf b = {0};
    int rc = 0;
    cv_hex(head, run->secure->head, 32);
    for (int i = 0; i < run->fed.n_silos; i++) {
        static const uint8_t none[32];
        cv_hex(old, all[i].supersedes, 32);
        cv_hex(sig, all[i].sig, CV_SIG_BYTES);
        cv_buf_printf(&b,
                      "round=%lld attempt=%lld record=%s supersedes=%s silo=%s "
                      "signature=%s\n",
                      (long long)run->round, (long long)run->secure->attempt,
                      head, memcmp(all[i].supersedes, none, 32) ? old : "-",
                      run->job->silos[i].name, sig);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    off_t before = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (before < 0 || write(fd, b.data, b.len) != (ssize_t)b.len ||
        fsync(fd) != 0) {
        rc = cv_err_set(err, CV_ERR_ENV, path, 0,
                        "cannot keep the signatures of round %lld: %s",
                        (long long)run->round, strerror(errno));
        if (before >= 0 && ftruncate(fd, before) != 0) /* no half lines */
            cv_log(CV_LOG_WARN, "records_log_torn", "file=%s", path);
    }
    if (fd >= 0)
        close(fd);
    cv_buf_free(&b);
    free(path);
    return rc;
}

/* For the next run.h5. */
static void add_signatures(cv_run *run, const record_msg *all)
{
    cv_proofs *p = &run->secure->proofs;
    int64_t at = cv_proofs_at(p, run->round);
    if (at < 0) /* from before there were records in the file */
        return;
    run->secure->unsaved |= !cv_proofs_has_signatures(p, at);
    uint8_t *row =
        p->signature + (size_t)at * (size_t)p->n_silos * CV_SIGNED_BYTES;
    for (int i = 0; i < p->n_silos; i++, row += CV_SIGNED_BYTES) {
        memcpy(row, all[i].supersedes, 32);
        memcpy(row + 32, all[i].sig, CV_SIG_BYTES);
    }
}

int cv_sign_record_all(cv_run *run, cv_err *err)
{
    int rc = 0;
    if (!run->secure || !run->secure->masks || run->round == 0)
        return 0;
    if (cv_fed_is_leader(&run->fed)) {
        record_msg *mine = CV_NEW(run->fed.n_hosted, record_msg);
        record_msg *all = CV_NEW(run->fed.n_silos, record_msg);
        rc = cv_agree_all(run->fed.leaders, sign_hosted(run, mine, err), err);
        if (!rc) {
            cv_gather_messages_all(&run->fed, all, mine, sizeof *mine);
            rc = verify_all(run, all, err);
        }
        if (!rc && run->fed.rank == 0)
            rc = keep_signatures(run, all, err);
        if (!rc && run->fed.rank == 0)
            add_signatures(run, all);
        free(mine);
        free(all);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    return rc ? rc : cv_attest_rounds_all(run, err);
}

/* ---- going on -------------------------------------------------------------------
 */

/* The newest round that a silo's journal must know: the last one that it took
 * part in, as far as others can tell. */
static int64_t must_know(const cv_run *run, int silo)
{
    cv_run past = *run;
    if (run->job->simulate.enabled) /* one journal for all */
        return run->round;
    if (!run->job->privacy.enabled) /* who was drawn may have stayed out */
        return run->status[silo] == CV_SILO_READY ? run->round
                                                  : run->taken[silo] > 0;
    uint8_t *drawn = CV_NEW(run->fed.n_silos, uint8_t);
    while (past.round > 0) {
        past.round--; /* a round is drawn from the number of those before */
        memset(drawn, 0, (size_t)run->fed.n_silos);
        cv_round_draw(&past, drawn);
        if (drawn[silo]) {
            past.round++;
            break;
        }
    }
    free(drawn);
    return past.round;
}

/* The newest round that the journal knows of the run; -1 if none. Preparations
 * are round 0, and are done again after a restart: the last entry need not be
 * of the newest round. */
static int64_t newest_round(const cv_journal *j, const uint8_t run_id[32])
{
    size_t n;
    int64_t newest = -1;
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    for (size_t i = 0; i < n; i++)
        if (e[i].round > newest && memcmp(e[i].run_id, run_id, 32) == 0)
            newest = e[i].round;
    return newest;
}

static int refuse_journal(const cv_hosted *h, const char *what, cv_err *err)
{
    return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                      "silo %s: its journal %s; what it has spent is not "
                      "known any more. Restore the newest journal, or "
                      "begin a new run in another folder (--out)",
                      h->name, what);
}

/* The journal must know the run at least as far as the checkpoint does, and must
 * not have signed beyond what this checkpoint lets it do again. */
static int check_journal(const cv_run *run, const cv_hosted *h,
                         const cv_journal *j, cv_err *err)
{
    const cv_journal_entry *done = cv_journal_last_signed(j, run->run_id);
    int64_t need = must_know(run, h->index);
    int64_t newest = newest_round(j, run->run_id);
    if (need > 0 && newest < need)
        return refuse_journal(h,
                              newest < 0 ? "does not know this run"
                                         : "is older than the checkpoint",
                              err);
    if (done && done->round > run->round + 1)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "silo %s has signed round %lld of this run; the "
                          "checkpoint is of round %lld. The run folder was put "
                          "back to an older state: restore the newest "
                          "checkpoint, or begin a new run",
                          h->name, (long long)done->round,
                          (long long)run->round);
    return 0;
}

/* Sums over other data than before would show what has changed; and pooled
 * means are summed before the checkpoint is read, so a journal that has been
 * lost is missed here where every silo has entries. */
int cv_secure_same_data_all(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    int rc = 0, everyone = job->training.participation >= 1.0 ||
                           job->data.standardize == CV_STANDARDIZE_POOLED ||
                           job->data.missing == CV_MISSING_MEAN;
    for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
        const cv_party *p = &run->secure->party[s];
        const cv_hosted *h = &run->hosted[s];
        const cv_journal_entry *last =
            p->journal ? cv_journal_last(p->journal, run->run_id, 0) : NULL;
        if (p->journal && !last && everyone)
            rc = refuse_journal(h, "does not know this run", err);
        if (last && memcmp(last->data, p->data, 32) != 0)
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "silo %s: its data have changed since this run "
                            "began; put the old data back, or begin a new run "
                            "in another folder (--out)",
                            h->name);
    }
    return cv_agree_all(run->fed.world, rc, err);
}

/* Records that a silo has signed of rounds that will be done again. */
static void find_lost(cv_run *run, int hosted, const cv_journal *j)
{
    cv_party *p = &run->secure->party[hosted];
    size_t n;
    const cv_journal_entry *e = cv_journal_entries(j, &n);
    while (n-- > 0 && !p->has_lost)
        if (e[n].kind == CV_JOURNAL_SIGNED && e[n].round > run->round &&
            memcmp(e[n].run_id, run->run_id, 32) == 0) {
            memcpy(p->lost, e[n].head, 32);
            p->has_lost = 1;
        }
}

int cv_secure_resume_all(cv_run *run, cv_err *err)
{
    cv_secure *sec = run->secure;
    int rc = 0;
    if (!sec || !sec->masks || run->round == 0)
        return 0;
    rc = cv_agree_all(run->fed.world, cv_budget_go_on(run, err), err);
    if (rc)
        return rc;
    rc = cv_attest_resume_all(run, err);
    if (rc)
        return rc;
    cv_record_state(run);
    for (int s = 0; s < run->fed.n_hosted && !rc; s++) {
        const cv_journal *j = cv_attempt_journal(run, s);
        if (!j || !cv_fed_is_leader(&run->fed))
            continue;
        rc = check_journal(run, &run->hosted[s], j, err);
        find_lost(run, s, j);
        if (!rc && !has_computed(run, j))
            rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                            "silo %s: the checkpoint of round %lld is not the "
                            "one that this silo computed (its model, ledger or "
                            "record was changed); restore the newest "
                            "checkpoint, or begin a new run in another folder "
                            "(--out)",
                            run->hosted[s].name, (long long)run->round);
    }
    return cv_agree_all(run->fed.world, rc, err);
}
